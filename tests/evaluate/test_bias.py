"""Bias: likelihoods beside transformers' own, whatever the batch; the set itself is what it says it is."""

import json
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from train.documents import read_documents
from train.evaluate import bias, expected_groups
from train.evaluate.bias import read_pairs
from train.hugging_face import from_hugging_face, to_hugging_face
from train.model import BertConfig, build_model
from train.records import read_json
from train.tokens import (
    TokenizerConfig,
    TokenizerKind,
    load_tokenizer,
    load_vocabulary,
    save_tokenizer,
    train_tokenizer,
)

SENTENCES = [pair.stereotype + " " + pair.other for pair in read_pairs(["en", "fr"])]


def test_each_pair_differs_in_one_place_and_the_set_is_balanced() -> None:
    pairs = read_pairs(["en", "fr"])
    assert Counter(pair.language for pair in pairs) == {"en": 40, "fr": 40}
    assert len({pair.stereotype for pair in pairs} | {pair.other for pair in pairs}) == 160
    by_category = Counter((pair.language, pair.category) for pair in pairs)
    assert {c: n for (lang, c), n in by_category.items() if lang == "en"} == {
        c: n for (lang, c), n in by_category.items() if lang == "fr"
    }
    for pair in pairs:
        a, b = pair.stereotype.split(), pair.other.split()
        blocks = [x for x in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks() if x.size]
        assert len(blocks) <= 2, pair  # what stands before the group, and what after it
        assert sum(block.size for block in blocks) >= min(len(a), len(b)) - 2, pair


def test_a_sentence_is_as_likely_as_in_transformers(release: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(release).eval(), AutoTokenizer.from_pretrained(release)
    likelier = []
    for pair in [pair for pair in read_pairs(["en"]) if pair.category == "gender"]:
        nats = []
        for sentence in (pair.stereotype, pair.other):
            ids = tokenizer(sentence, return_tensors="pt").input_ids
            with torch.no_grad():  # windows of 32 tokens, 16 apart, as ours
                nats.append(sum(cost_of(theirs, ids[0], target) for target in range(1, ids.shape[1])))
        likelier.append(nats[0] < nats[1])
    found = read_json(release / "release.json")["results"]["bias"]
    assert (found["pairs"], found["languages"]) == (40, ["en"])
    assert found["by"]["gender"] == found["by"]["gender"] | {"pairs": 8, "share": np.mean(likelier)}
    assert found["share"] == np.mean([row["share"] for name, row in found["by"].items() if name == "en"])


def cost_of(model, ids: torch.Tensor, target: int) -> float:
    window = 0 if target <= 32 else 16 * -(-(target - 32) // 16)
    logits = model(ids[None, window:target]).logits[0, -1]
    return float(functional.cross_entropy(logits[None], ids[None, target]))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights in Hugging Face's format, with a tokenizer that knows the pairs' words."""
    folder = tmp_path_factory.mktemp("bert")
    config = TokenizerConfig(
        kind=TokenizerKind.wordpiece, vocab_size=400, pad_token="[PAD]", mask_token="[MASK]", cls_token="[CLS]",
        sep_token="[SEP]", lowercase=True,
    )  # fmt: skip
    save_tokenizer(train_tokenizer(config, SENTENCES * 3), config, folder, 64)
    model = build_model(BertConfig(vocab_size=400, seq_len=64, d_model=16, n_layers=2, n_heads=2, d_ff=32, dropout=0.0))
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    to_hugging_face(model, folder)
    return folder


def asked(folder: Path, batch_size: int, languages: tuple[str, ...] = ("en", "fr")) -> dict | None:
    parts = from_hugging_face(folder), load_tokenizer(folder), load_vocabulary(folder)
    return expected_groups(*parts, languages, batch_size)


def test_a_pseudo_likelihood_is_as_in_transformers(bert: Path) -> None:
    from transformers import BertForMaskedLM

    theirs, tokenizer, vocabulary = BertForMaskedLM.from_pretrained(bert), load_tokenizer(bert), load_vocabulary(bert)
    theirs.eval()
    sentences = ["The old man could not understand it.", "The young woman could not understand it."]
    tokens = [np.array(tokenizer.encode(s, add_special_tokens=False).ids) for s in sentences]
    found = bias._pseudo(from_hugging_face(bert), tokens, vocabulary, 3)
    for ids, nats in zip(tokens, found, strict=True):
        framed, expected = [vocabulary.need("cls"), *ids, vocabulary.need("sep")], 0.0
        matched = SequenceMatcher(None, tokens[0].tolist(), tokens[1].tolist(), autojunk=False).get_matching_blocks()
        side = 0 if ids is tokens[0] else 1
        for block in matched:
            for place in range((block.a, block.b)[side], (block.a, block.b)[side] + block.size):
                shown = torch.tensor([framed])
                shown[0, place + 1] = vocabulary.need("mask")
                with torch.no_grad():
                    logits = theirs(shown).logits[0, place + 1]
                expected += float(functional.cross_entropy(logits[None], torch.tensor([ids[place]])))
        assert nats == pytest.approx(expected, rel=1e-4)


def test_independent_of_the_batch_size(bert: Path, release: Path) -> None:
    for folder in (bert, release):
        one = asked(folder, 1, ("fr",))
        assert one is not None
        assert one["pairs"] == 40
        assert asked(folder, 7, ("fr",)) == asked(folder, 64, ("fr",)) == one


def test_what_is_not_in_its_languages_is_not_asked(bert: Path) -> None:
    assert asked(bert, 8, ("de",)) is None
    french = asked(bert, 8, ("fr", "de"))
    assert french is not None
    assert french["languages"] == ["fr"]


def test_the_card_says_what_it_cannot_show(release: Path) -> None:
    card = (release / "README.md").read_text("utf-8")
    assert next(iter(read_documents(release / "data", "validation"))).language == "en"
    assert "In 40 pairs of sentences" in card
    assert "in English, and written by a few hands" in card
    assert "no licence to use it on people" in card
    assert "bias" in json.loads((release / "evaluation" / "results.json").read_text())
