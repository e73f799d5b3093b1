"""The default corpus, for real: fetched by hash, checked, and measured with the yardstick. Needs a network once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from train.config import compose
from train.documents import build_corpus, read_documents
from train.evaluate import FiveGram, read_texts, yardstick_bits_per_byte
from train.recipe import fetch_for
from train.records import BadInput
from train.tokens import TokenStore, train_tokenizer, write_shards

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fetched() -> None:
    try:
        fetch_for(compose(["+experiment=tiny"]))
    except BadInput as error:
        pytest.skip(f"the corpus cannot be fetched here: {error}")


@pytest.mark.usefixtures("fetched")
def test_the_default_corpus_and_its_five_gram(tmp_path: Path) -> None:
    config = compose(["+experiment=tiny"])
    summary = build_corpus(config.data, tmp_path, lambda _: None)
    assert (summary["seen"], summary["kept"], summary["kept_bytes"]) == (249, 156, 8_392_200)
    assert len(summary["by"]["author"]) == 29
    assert summary["by"]["split"]["validation"]["documents"] == 14
    assert summary["documents_digest"] == DOCUMENTS
    tokenizer = train_tokenizer(config.tokenizer, (d.text for d in read_documents(tmp_path, "train")))
    index = {
        split: write_shards(
            read_documents(tmp_path, split), tokenizer, "<|endoftext|>", tmp_path, split, lambda _: None
        )
        for split in ("train", "validation")
    }
    assert index["train"]["digest"] == TRAIN_TOKENS
    texts = read_texts(TokenStore(tmp_path, "validation"), read_documents(tmp_path, "validation"))
    yardstick = FiveGram(TokenStore(tmp_path, "train").documents(), 4096)
    everything = [(t.tokens, t.n_bytes, np.arange(len(t.tokens)) > 0) for t in texts]
    bits = yardstick_bits_per_byte(yardstick, everything)
    assert bits == pytest.approx(1.2603, abs=1e-4)


DOCUMENTS = "c5bc066087fcbd2db86806ffd704667bc2a75727827f2d1af5c750746031c2e3"
TRAIN_TOKENS = "66b03e5a03dd54c78a0d65d70d57c0121a94832a28ab2f87673c0d7f9fca6aca"


@pytest.mark.usefixtures("fetched")
def test_documents_to_release_by_the_front_door(tmp_path: Path) -> None:
    words = ["+experiment=smoke", f"run.folder={tmp_path}", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(
        [sys.executable, "-m", "train", *words], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["ingredients"]["documents"]["count"] == 27
    assert record["results"]["bits_per_byte"]["total"] < 3.2
    assert "George Washington" in (tmp_path / "smoke" / "release" / "ATTRIBUTION.md").read_text("utf-8")


def test_the_bilingual_corpus(tmp_path: Path) -> None:
    config = compose(["+experiment=tiny", "data=bilingual"])
    try:
        fetch_for(config)
    except BadInput as error:
        pytest.skip(f"the corpus cannot be fetched here: {error}")
    summary = build_corpus(config.data, tmp_path, lambda _: None)
    assert (summary["seen"], summary["kept"], summary["kept_bytes"]) == (8211, 6438, 53_462_674)
    assert {language: count["documents"] for language, count in summary["by"]["language"].items()} == {
        "en": 221,
        "fr": 6217,
    }
    assert summary["documents_digest"] == BILINGUAL
    assert not {"Thornton W. Burgess", "Sara Cone Bryant"} & set(summary["by"]["author"])


BILINGUAL = "3e470ff672dbaa457cc088c49727a98074a2e144439cec98e2cc39ea75105617"
