"""Each family from documents to a release: transformers loads it and makes the same of it; a resume changes nothing."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.conftest import small_run, write_school
from train.config import compose
from train.evaluate import measure_again
from train.hugging_face import from_hugging_face
from train.model import FAMILIES
from train.recipe import Stopped, run_recipe
from train.sample import Sampling, speak

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


def test_bert_fills_masks_in_the_pipeline(releases: dict[str, Path]) -> None:
    fill = transformers.pipeline("fill-mask", model=str(releases["bert"]))
    found = fill("Arbel [MASK] dan.")
    assert len(found) == 5
    ours = speak(releases["bert"], "Arbel [MASK] dan.", Sampling(temperature=0.0))
    assert any(ours == option["sequence"] for option in found)


def test_t5_answers_through_generate(releases: dict[str, Path]) -> None:
    release = releases["t5"]
    model = transformers.T5ForConditionalGeneration.from_pretrained(release)
    tokenizer = transformers.AutoTokenizer.from_pretrained(release)
    asked = tokenizer("Arbel <extra_id_0> dan", return_tensors="pt")
    tokens = tokenizer.convert_ids_to_tokens(asked["input_ids"][0])
    assert "<extra_id_0>" in tokens
    assert tokens[-1] == tokenizer.eos_token
    out = model.generate(**asked, do_sample=False, max_new_tokens=6)
    assert out[0, 0] == tokenizer.pad_token_id
    ours = from_hugging_face(release)
    with torch.no_grad():
        context, seen = ours.encode(asked["input_ids"]), [int(out[0, 0])]
        for _ in range(out.shape[1] - 1):
            seen.append(int(ours.head(ours.decode(torch.tensor([seen]), context)[0, -1]).argmax()))
    assert seen == out[0].tolist()


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
    assert resumed["weights"] == whole["weights"]


def test_permutation_converges(tmp_path: Path) -> None:
    """Its loss on a text that can be learned falls far below that of a unigram, in both orders."""
    write_school(tmp_path / "school")
    more = [
        "optim.steps=300",
        "optim.sequences_per_step=16",
        "optim.lr=0.02",
        "optim.adamw_lr=0.01",
        "model.d_model=64",
    ]
    made = run_recipe(compose(words("xlnet", tmp_path, *more, "run.evaluate_every=100")))
    bits = made["results"]["bits_per_byte"]
    assert bits["total"] < 0.8 * bits["unigram"]
