"""Greedy text is the same in ours and theirs, with a cache and without."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.hugging_face.test_parity import theirs_of
from tests.hugging_face.variants import CAUSAL, VOCABULARY, make
from train.model import T5, Cache
from train.sample import Sampling, new_tokens

NEW = 20


def greedy(model: Any, tokens: list[int], **options: Any) -> list[int]:
    """Theirs, without what comes before."""
    given = torch.tensor([tokens])
    out = model.generate(
        given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=NEW, eos_token_id=None,
        pad_token_id=0, **options,
    )  # fmt: skip
    return out[0].tolist()


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("variant", CAUSAL)
def test_decoders_go_on_alike(tmp_path: Path, variant: str, cache: bool) -> None:
    ours = make(variant)
    theirs = theirs_of(ours, tmp_path)
    said = set()
    for length in (1, 7, 8):
        prompt = torch.randint(1, VOCABULARY, (length,), generator=torch.Generator().manual_seed(length)).tolist()
        with torch.no_grad():
            sampling = Sampling(max_tokens=NEW, temperature=0.0, cache=cache)
            mine = list(new_tokens(ours, prompt, -1, sampling))
        assert mine == greedy(theirs, prompt, use_cache=cache)[length:]
        said |= set(mine)
    assert len(said) > 1  # a tied head at random likes to repeat itself


@pytest.mark.parametrize("cache", [True, False])
def test_windows_that_are_full_go_on_alike_with_and_without_a_cache(cache: bool) -> None:
    model = make("llama-grouped")
    with torch.no_grad():
        long = list(new_tokens(model, [5, 6, 7], -1, Sampling(max_tokens=100, temperature=0.0, cache=cache)))
        seen = [5, 6, 7, *long]
        for count in (3, 40, 41, 60, 61, 90):
            window = seen[max(0, -(-(count - 40) // 20) * 20) : count]
            assert seen[count] == int(model(torch.tensor([window]))[0, -1].argmax())


@pytest.mark.parametrize("variant", ["t5", "t5-1.1"])
@pytest.mark.parametrize("cache", [True, False])
def test_t5_answers_alike(tmp_path: Path, variant: str, cache: bool) -> None:
    ours = make(variant)
    assert isinstance(ours, T5)
    theirs = theirs_of(ours, tmp_path)
    prompt = torch.randint(1, VOCABULARY, (1, 11), generator=torch.Generator().manual_seed(0))
    expected = greedy(theirs, prompt[0].tolist(), use_cache=cache)
    kept, seen = Cache(ours.config.n_decoder_layers), [0]
    with torch.no_grad():
        context = ours.encode(prompt)
        for _ in range(NEW):
            given = torch.tensor([seen[-1:] if cache else seen])
            seen.append(int(ours.head(ours.decode(given, context, kept if cache else None)[0, -1]).argmax()))
    assert seen == expected
    assert len(set(seen)) > 2


@pytest.mark.parametrize("variant", ["xlnet", "xlnet-clamped"])
def test_xlnet_goes_on_alike(tmp_path: Path, variant: str) -> None:
    ours = make(variant)
    theirs = theirs_of(ours, tmp_path)
    prompt = torch.randint(1, VOCABULARY, (7,), generator=torch.Generator().manual_seed(0)).tolist()
    with torch.no_grad():
        mine = list(new_tokens(ours, prompt, -1, Sampling(max_tokens=NEW, temperature=0.0)))
    for cache in (True, False):
        assert mine == greedy(theirs, prompt, use_cache=cache)[7:]
    assert len(set(mine)) > 1


def test_bert_fills_masks_alike(tmp_path: Path) -> None:
    ours = make("bert")
    theirs = theirs_of(ours, tmp_path)
    assert isinstance(theirs, transformers.BertForMaskedLM)
    tokens = torch.randint(1, VOCABULARY, (4, 12))
    assert torch.equal(ours(tokens).argmax(-1), theirs(tokens).logits.argmax(-1))
