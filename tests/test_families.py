"""Each family from documents to a release: transformers loads it and makes the same of it; a resume changes nothing."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.conftest import small_run, write_school
from train.batches import ObjectiveConfig, ObjectiveName, build_objective
from train.config import compose, config_digest, read_config
from train.evaluate import measure_again
from train.hugging_face import from_hugging_face
from train.model import FAMILIES
from train.numerics import hash_rows
from train.recipe import Stopped, run_recipe
from train.records import BadInput
from train.sample import Sampling, Speaker, speak
from train.tokens import TokenStore, load_tokenizer, load_vocabulary

SHAPE = ["model.d_model=32", "model.n_heads=2", "model.n_layers=2", "model.seq_len=32", "run.prompts=[Arbel cor dan]"]


def words(family: str, folder: Path, *more: str) -> list[str]:
    plain = [
        w for w in small_run(folder / "school", folder / "runs") if not w.startswith(("model.d_head", "model.d_ff"))
    ]
    wide = {"llama": 48, "bloom": 128}.get(family, 64)
    more = (*more, "tokenizer.sentinels=8") if family == "t5" else more
    return [*plain, f"model={family}", *SHAPE, f"model.d_ff={wide}", "tokenizer.vocab_size=400", *more]


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for family in FAMILIES:
        folder = tmp_path_factory.mktemp(family)
        write_school(folder / "school")
        more = ["release.gguf=true"] if family in {"llama", "gpt2"} else []
        run_recipe(compose(words(family, folder, *more)))
        made[family] = folder / "runs" / "small" / "release"
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_a_release_of_every_family_is_measured_again_alike(releases: dict[str, Path], family: str) -> None:
    found = measure_again(releases[family])
    assert found["same"], found
    bits = json.loads((releases[family] / "release.json").read_text())["results"]["bits_per_byte"]
    assert 0 < bits["five_gram"] < bits["unigram"]
    left_to_right = family not in {"bert", "t5"}
    assert bits["measure"]["left_to_right"] == left_to_right
    assert (bits["tokens_predicted"] == bits["tokens"]) == left_to_right
    card = (releases[family] / "README.md").read_text()
    assert ("not to be compared" in card) != left_to_right
    said = speak(releases[family], "Arbel cor", Sampling(max_tokens=5, temperature=0.0))
    assert said.lower().replace(" ", "").startswith("arbelcor")


@pytest.mark.parametrize("family", ["gpt2", "llama", "falcon", "bloom", "xlnet"])
def test_the_pipeline_goes_on_with_a_prompt(releases: dict[str, Path], family: str) -> None:
    release = str(releases[family])
    speaker = transformers.pipeline("text-generation", model=release)
    theirs = speaker("Arbel cor", max_new_tokens=8, do_sample=False)[0]["generated_text"]
    ours = speak(releases[family], "Arbel cor", Sampling(max_tokens=8, temperature=0.0))
    assert theirs.startswith("Arbel cor")
    assert theirs == ours


def test_no_text_of_a_t5_holds_the_token_that_closes_its_answers(releases: dict[str, Path]) -> None:
    release, vocabulary = releases["t5"], load_vocabulary(releases["t5"])
    tokens = TokenStore(release.parent / "tokens", "train").read(0, 10_000)
    assert (tokens == vocabulary.opens).sum() > 1
    assert not (tokens == vocabulary.need("end")).any()


def test_bert_fills_masks_in_the_pipeline(releases: dict[str, Path]) -> None:
    fill = transformers.pipeline("fill-mask", model=str(releases["bert"]))
    found = fill("Arbel [MASK] dan.")
    assert len(found) == 5
    ours = speak(releases["bert"], "Arbel [MASK] dan.", Sampling(temperature=0.0))
    special = {"[PAD]", "[MASK]", "[CLS]", "[SEP]", "[UNK]"}
    assert ours == next(option["sequence"] for option in found if option["token_str"] not in special)


def test_t5_answers_through_generate(releases: dict[str, Path]) -> None:
    release = releases["t5"]
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(release)
    tokenizer = transformers.AutoTokenizer.from_pretrained(release)
    asked = tokenizer("Arbel <extra_id_0> dan", return_tensors="pt")
    tokens = tokenizer.convert_ids_to_tokens(asked["input_ids"][0])
    assert "<extra_id_0>" in tokens
    assert tokens[-1] == tokenizer.eos_token
    answer = theirs.generate(**asked, do_sample=False, max_new_tokens=12)[0, 1:].tolist()
    speaker = Speaker(from_hugging_face(release), load_tokenizer(release), load_vocabulary(release))
    end = speaker.vocabulary.need("end")
    expected = speaker.fill_in(asked["input_ids"][0, :-1].tolist(), [token for token in answer if token != end])
    for cache in (True, False):
        said = speaker.say("Arbel <extra_id_0> dan", Sampling(max_tokens=12, temperature=0.0, cache=cache))
        assert said == expected


def test_spans_are_put_where_their_sentinels_stand(releases: dict[str, Path]) -> None:
    release = releases["t5"]
    speaker = Speaker(from_hugging_face(release), load_tokenizer(release), load_vocabulary(release))
    zero, one, two = speaker.vocabulary.sentinels[:3]
    a, b, c = (speaker.encode(word) for word in (" arbel", " cor", " dan"))
    assert speaker.fill_in([*a, zero, *b, one], [zero, *c, one, *b, *c, two, *a]) == speaker.decode(a + c + b + b + c)
    assert speaker.encode("x<extra_id_1>y").count(one) == 1
    assert end_of(speaker) not in speaker.encode(
        "a</s>b<pad>"
    )  # other special tokens are text where a text spells them
    long = "arbel cor dan " * 60
    assert speaker.say(f"{long}<extra_id_0>", Sampling(max_tokens=3)).startswith("arbel cor")
    with pytest.raises(BadInput, match="a sentinel stands before"):
        speaker.say(f"<extra_id_0>{long}", Sampling(max_tokens=3))


def end_of(speaker: Speaker) -> int:
    return speaker.vocabulary.need("end")


def test_bert_keeps_a_prompt_that_is_longer_than_its_window(releases: dict[str, Path]) -> None:
    long = "arbel cor dan " * 40
    said = speak(releases["bert"], f"{long} [MASK] {long}", Sampling(temperature=0.0))
    assert "[MASK]" not in said
    assert said.lower().count("arbel") >= 80


@pytest.mark.parametrize("family", FAMILIES)
def test_the_recipe_in_a_release_is_the_config_it_was_made_with(releases: dict[str, Path], family: str) -> None:
    more = ["release.gguf=true"] if family in {"llama", "gpt2"} else []
    made = compose(words(family, releases[family].parents[2], *more))
    read = read_config(releases[family] / "recipe" / "config.yaml")
    assert config_digest(read) == config_digest(made)
    assert read.model == made.model


@pytest.mark.parametrize("family", ["bert", "t5", "xlnet"])
def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path, family: str, monkeypatch: Any) -> None:
    import train.run.loop as loop

    write_school(tmp_path / "school")
    more = ["model.dropout=0.1"]
    whole = run_recipe(compose(words(family, tmp_path, *more, "run.name=whole")))
    real, steps = loop.Keeper.save, []

    def save(self: Any, step: int) -> None:
        real(self, step)
        steps.append(step)
        if step == 10:
            raise Stopped(signal.SIGTERM, step)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Keeper, "save", save)
        with pytest.raises(Stopped):
            run_recipe(compose(words(family, tmp_path, *more, "run.name=stopped")))
    resumed = run_recipe(compose(words(family, tmp_path, *more, "run.name=stopped")))
    assert max(steps) == 10
    assert resumed["cost"]["attempts"] == 2
    assert resumed["weights"] == whole["weights"]


@pytest.mark.parametrize(("family", "share"), [("bert", 0.85), ("t5", 0.95)])
def test_hidden_tokens_are_learned_from_both_sides(tmp_path: Path, family: str, share: float) -> None:
    """Where each word is said twice, and one of the two is hidden: on unseen texts, below a unigram of the same."""
    for path in write_school(tmp_path / "school").glob("*.txt"):
        path.write_text(" ".join(f"{word} {word}" for word in path.read_text("utf-8").split()), "utf-8")
    more = [
        "optim.steps=300",
        "optim.sequences_per_step=16",
        "optim.lr=0.02",
        "optim.adamw_lr=0.01",
        "model.d_model=64",
    ]
    record = run_recipe(compose(words(family, tmp_path, *more, "run.evaluate_every=100")))
    bits = record["results"]["bits_per_byte"]
    assert bits["total"] < share * bits["unigram"], bits


def test_permutation_converges(tmp_path: Path) -> None:
    """On texts and in orders that it has not seen, far below a unigram of the same tokens; no row is left to right."""
    write_school(tmp_path / "school")
    more = [
        "optim.steps=300",
        "optim.sequences_per_step=16",
        "optim.lr=0.02",
        "optim.adamw_lr=0.01",
        "model.d_model=64",
    ]
    run_recipe(compose(words("xlnet", tmp_path, *more, "run.evaluate_every=100", "objective.left_to_right=0")))
    run = tmp_path / "runs" / "small"
    model, seen, held = (
        from_hugging_face(run / "release"),
        *(TokenStore(run / "tokens", s) for s in ("train", "validation")),
    )
    config = ObjectiveConfig(name=ObjectiveName.permutation, share=1 / 6)
    windows = held.read(0, len(held) // 32 * 32).reshape(-1, 32)
    example = build_objective(config, load_vocabulary(run / "tokens")).make(
        windows, hash_rows(np.arange(len(windows)), 99)
    )
    with torch.no_grad():
        logits = model(**{name: torch.from_numpy(array) for name, array in example.inputs.items()})
    nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(example.targets).flatten())
    counts = np.bincount(np.concatenate(list(seen.documents())), minlength=400) + 1.0
    unigram = -np.log(counts / counts.sum())[example.targets].mean()
    assert float(nats) < 0.8 * unigram
