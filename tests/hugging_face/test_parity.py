"""Every family and variant beside transformers: logits and gradients, in both directions, on odd shapes, padded."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.hugging_face.variants import CAUSAL, VARIANTS, VOCABULARY, agree, make
from train.hugging_face import from_hugging_face, to_hugging_face
from train.model import LanguageModel
from train.numerics import digest_tensors


def theirs_of(model: LanguageModel, folder: Path) -> Any:
    to_hugging_face(model, folder, {"pad_token_id": 0, "decoder_start_token_id": 0})
    return getattr(transformers, model.ARCHITECTURE).from_pretrained(folder).eval()


def inputs_of(model: LanguageModel, batch: int, length: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Random tokens, as ours and as theirs are called."""
    random = torch.Generator().manual_seed(length)
    tokens = torch.randint(1, VOCABULARY, (batch, length), generator=random)
    name = model.config.name
    if name == "t5":
        decoder = torch.randint(1, VOCABULARY, (batch, max(1, length - 2)), generator=random)
        return {"tokens": tokens, "decoder_tokens": decoder}, {"input_ids": tokens, "decoder_input_ids": decoder}
    if name == "bert":
        segments = torch.randint(2, (batch, length), generator=random)
        return {"tokens": tokens, "segments": segments}, {"input_ids": tokens, "token_type_ids": segments}
    if name == "xlnet":
        return xlnet_inputs(tokens, random)
    return {"tokens": tokens}, {"input_ids": tokens}


def xlnet_inputs(tokens: torch.Tensor, random: torch.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    batch, length = tokens.shape
    rank = torch.rand(batch, length, generator=random).argsort(1).argsort(1)
    sees = rank[:, None, :] < rank[:, :, None]
    predict = rank.argsort(1)[:, length // 2 :]
    segments = torch.randint(2, (batch, length), generator=random)
    ours = {"tokens": tokens, "sees": sees, "predict": predict, "segments": segments}
    theirs = {
        "input_ids": tokens, "perm_mask": (~sees).float(), "token_type_ids": segments,
        "target_mapping": torch.nn.functional.one_hot(predict, length).float(),
    }  # fmt: skip
    return ours, theirs


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_and_gradients_are_theirs(tmp_path: Path, variant: str) -> None:
    ours = make(variant)
    theirs = theirs_of(ours, tmp_path)
    for batch, length in [(3, 17), (1, 1), (2, 40)]:
        mine, yours = inputs_of(ours, batch, length)
        ours.zero_grad(), theirs.zero_grad()
        logits, expected = ours(**mine), theirs(**yours).logits
        agree(logits, expected)
        weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(3))
        (logits * weights).sum().backward()
        (expected * weights).sum().backward()
        gradients, parameters = dict(theirs.named_parameters()), dict(ours.named_parameters())
        largest = max(float(p.grad.abs().max()) for p in gradients.values() if p.grad is not None)
        for row in ours.stored():
            if gradients[row.theirs].grad is None:
                continue
            got = row.join([torch.zeros_like(p) if (p := parameters[n]).grad is None else p.grad for n in row.ours])
            assert (got - gradients[row.theirs].grad).abs().max() <= 1e-5 * largest, row.theirs


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_is_not_looked_at(tmp_path: Path, variant: str, side: str) -> None:
    ours = make(variant)
    theirs = theirs_of(ours, tmp_path)
    mine, yours = inputs_of(ours, 3, 12)
    real = torch.ones(3, 12, dtype=torch.bool)
    for row, pads in enumerate((0, 1, 5)):
        real[row, slice(0, pads) if side == "left" else slice(12 - pads, 12)] = False
    logits = ours(**mine, attention_mask=real)
    expected = theirs(**yours, attention_mask=real.float() if ours.config.name == "xlnet" else real.long()).logits
    if ours.config.name == "t5":
        real = torch.ones(logits.shape[:2], dtype=torch.bool)
    if ours.config.name == "xlnet":
        real = real.gather(1, mine["predict"])
    agree(logits[real], expected[real])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_round_trip_is_equal_to_the_bit(tmp_path: Path, variant: str) -> None:
    ours = make(variant)
    theirs = theirs_of(ours, tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").is_file()
    back = from_hugging_face(tmp_path / "theirs")
    assert back.config == ours.config
    assert digest_tensors(dict(back.named_parameters())) == digest_tensors(dict(ours.named_parameters()))


@pytest.mark.parametrize("variant", ["xlnet", "xlnet-clamped"])
def test_xlnet_remembers_as_theirs_does(tmp_path: Path, variant: str) -> None:
    ours = make(variant)
    theirs = theirs_of(ours, tmp_path)
    random = torch.Generator().manual_seed(5)
    first, second, third = (torch.randint(VOCABULARY, (2, n), generator=random) for n in (9, 6, 11))
    mine, yours = xlnet_inputs(third, random)
    memory = ours.remember(second, ours.remember(first))
    mems = theirs(second, mems=theirs(first, use_mems=True).mems, use_mems=True).mems
    for got, expected in zip(memory, mems, strict=True):
        agree(got, expected.transpose(0, 1))
    agree(ours(**mine, memory=memory), theirs(**yours, mems=mems).logits)
    agree(ours(third), theirs(third).logits)


@pytest.mark.parametrize("variant", CAUSAL)
def test_a_cache_changes_nothing(variant: str) -> None:
    from train.model import Cache

    model = make(variant)
    tokens = torch.randint(VOCABULARY, (2, 13))
    cache = Cache(model.config.n_layers)
    parts = [model(part, cache=cache) for part in tokens.split([5, 1, 1, 4, 1, 1], 1)]
    agree(torch.cat(parts, 1), model(tokens))
