"""LoRA and DoRA: merged is applied, PEFT loads them onto the exported base, and what cannot be parted is refused."""

import copy
from pathlib import Path

import pytest
import torch

from tests.hugging_face.variants import VOCABULARY, agree, make
from train.hugging_face import to_hugging_face
from train.model import LanguageModel
from train.records import BadInput
from train.tune import TuneConfig, TuneName, adapt, adapted, merge, save_adapter

TOKENS = torch.randint(VOCABULARY, (2, 13), generator=torch.Generator().manual_seed(0))


def config(**more: object) -> TuneConfig:
    return TuneConfig(name=TuneName.lora, base="x", rank=3, alpha=5.0, **more)  # type: ignore[arg-type]


def taught(model: LanguageModel, how: TuneConfig) -> LanguageModel:
    """A copy with adapters that have learned something."""
    other = copy.deepcopy(model)
    adapt(other, how, seed=0)
    random = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for layer in adapted(other).values():
            layer.adapter_b.copy_(torch.randn(layer.adapter_b.shape, generator=random) * 0.3)
            if layer.magnitude is not None:
                layer.magnitude.mul_(1 + 0.2 * torch.rand(layer.magnitude.shape, generator=random))
    return other


def logits(model: torch.nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs)


@pytest.mark.parametrize("dora", [False, True])
def test_new_adapters_change_nothing_and_only_they_learn(dora: bool) -> None:
    model = make("llama-grouped")
    before = logits(model, tokens=TOKENS)
    adapt(model, config(dora=dora), seed=0)
    agree(logits(model, tokens=TOKENS), before, 1e-6)
    model(tokens=TOKENS).sum().backward()
    learned = {name.rpartition(".")[2] for name, p in model.named_parameters() if p.grad is not None}
    assert learned == {"adapter_a", "adapter_b", *(["magnitude"] if dora else [])}
    assert len(adapted(model)) == 3 * 7


@pytest.mark.parametrize("variant", ["llama-grouped", "gpt2", "falcon-40b", "bloom"])
@pytest.mark.parametrize("dora", [False, True])
def test_merged_is_applied(variant: str, dora: bool) -> None:
    base = make(variant).double()  # in float32 the same sum in another order parts by some 1e-6
    applied = taught(base, config(dora=dora))
    found = logits(applied, tokens=TOKENS)
    assert (found - logits(base, tokens=TOKENS)).abs().max() > 0.1
    merge(applied)
    assert not adapted(applied)
    agree(logits(applied, tokens=TOKENS), found, 1e-10)
    assert set(applied.state_dict()) == set(base.state_dict())


@pytest.mark.parametrize(
    ("variant", "how"),
    [
        ("llama-grouped", {}),
        ("llama-grouped", {"dora": True}),
        ("llama-grouped", {"targets": ["q", "v", "down"]}),
        ("gpt2", {}),
        ("gpt2", {"dora": True, "targets": ["down"]}),
        ("bloom", {}),
    ],
)
def test_peft_gives_the_same_logits(variant: str, how: dict[str, object], tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = make(variant)
    to_hugging_face(base, tmp_path / "base")
    ours = taught(base, config(**how))
    save_adapter(ours, config(**how), "base", tmp_path / "adapter")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    before = logits(theirs, input_ids=TOKENS).logits
    theirs = PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    after = logits(theirs, input_ids=TOKENS).logits
    assert (after - before).abs().max() > 0.05
    agree(logits(ours, tokens=TOKENS), after)
    merge(ours)
    agree(logits(ours, tokens=TOKENS), logits(theirs.merge_and_unload(), input_ids=TOKENS).logits)


@pytest.mark.parametrize("variant", ["t5", "t5-1.1"])
def test_peft_gives_the_same_logits_of_a_t5(variant: str, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM

    base = make(variant)
    to_hugging_face(base, tmp_path / "base")
    ours = taught(base, config())
    save_adapter(ours, config(), "base", tmp_path / "adapter")
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "base")
    theirs = PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    found = logits(ours, tokens=TOKENS, decoder_tokens=TOKENS[:, :5])
    agree(found, logits(theirs, input_ids=TOKENS, decoder_input_ids=TOKENS[:, :5]).logits)


@pytest.mark.parametrize(
    ("variant", "targets", "says"),
    [
        ("gpt2", ["q", "o"], "q of a gpt2 shares one tensor"),
        ("bloom", ["v"], r"tune.targets=\[down,o,up\]"),
        ("llama-2", ["query"], "no layer is called query; known: down, gate, k, o, q, up, v"),
    ],
)
def test_what_cannot_be_adapted_is_a_line(variant: str, targets: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        adapt(make(variant), config(targets=targets), seed=0)
