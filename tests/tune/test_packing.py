"""Packed rows: every example is there once, and is read as if it stood alone, in every family that answers."""

import numpy as np
import pytest
import torch

from tests.hugging_face.variants import make
from train.model import Decoder
from train.numerics import uniform_integers
from train.records import IGNORE, Document
from train.tokens import ExampleStore
from train.tokens.shards import write_encoded
from train.tune import Packed, TextToText, pack

LENGTHS = [9, 5, 14, 3, 8, 8, 21, 4, 11, 6, 30, 7]
SIZE = 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ExampleStore:
    folder = tmp_path_factory.mktemp("store")
    document = Document(id="a/b", text="", source="", sha256="", n_bytes=1)
    drawn = [(uniform_integers(n, 5, i) % np.uint64(60)).astype(np.int64) + 1 for i, n in enumerate(LENGTHS)]
    write_encoded([(document, [row.tolist()]) for row in drawn], 64, folder, "train", lambda _: None)
    answers = [[0] * (n // 2) + [1] * (n - n // 2) for n in LENGTHS]
    write_encoded([(document, [row]) for row in answers], 2, folder, "train-answers", lambda _: None)
    return ExampleStore(folder, "train")


def test_rows_hold_every_example_once_and_waste_little() -> None:
    lengths = (uniform_integers(500, 3) % np.uint64(60)).astype(int) + 1
    rows = pack(lengths.tolist(), 64)
    assert sorted(number for row in rows for number in row) == list(range(500))
    used = [sum(int(lengths[number]) for number in row) for row in rows]
    assert max(used) <= 64
    assert len(rows) <= 1.03 * -(-int(lengths.sum()) // 64)  # near the fewest that could hold them


@pytest.mark.parametrize("family", ["llama-3", "gpt2", "falcon-rw", "falcon-40b", "bloom"])
@pytest.mark.parametrize("parts", [1, 2])
def test_each_example_is_read_as_if_alone(store: ExampleStore, family: str, parts: int) -> None:
    model = make(family).eval()
    assert isinstance(model, Decoder)
    size = 40 if parts == 2 else SIZE
    model.within_documents = True
    packed = Packed(store, size, parts)
    batch = packed.batch(np.arange(len(packed)), 0, 0)
    found = []
    with torch.no_grad():
        logits = model(**{name: torch.from_numpy(array) for name, array in batch.inputs.items()})
        model.within_documents = False
        for number in range(len(store)):
            tokens, answers = store.part(number)
            alone = model(torch.from_numpy(tokens[None, :-1]))[0]
            example, part = divmod(number, parts)
            row = next(r for r, inside in enumerate(packed.rows) if example in inside)
            place = packed.rows[row].index(example) * parts + part
            here = batch.inputs["documents"][row] == place
            torch.testing.assert_close(logits[row][torch.from_numpy(here)], alone, atol=2e-5, rtol=1e-4)
            wanted = np.where(answers[1:], tokens[1:], IGNORE)
            np.testing.assert_array_equal(batch.targets[row][here], wanted)
            found.append(int(here.sum()))
    assert sum(found) + int((batch.inputs["documents"] == size - 1).sum()) == batch.targets.size
    assert int((batch.targets != IGNORE).sum()) == sum(n - n // 2 for n in LENGTHS)


def test_an_encoder_reads_the_question_and_a_decoder_is_asked_for_the_answer(store: ExampleStore) -> None:
    model = make("t5").eval()
    sequences = TextToText(store, SIZE, pad=0)
    batch = sequences.batch(np.array([2, 6]), 0, 0)
    inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
    with torch.no_grad():
        logits = model(**inputs)
        for row, number in enumerate((2, 6)):
            tokens, answers = store.part(number)
            asked, told = torch.from_numpy(tokens[~answers]), torch.from_numpy(tokens[answers])
            alone = model(asked[None], torch.cat([torch.tensor([0]), told[:-1]])[None])[0]
            torch.testing.assert_close(logits[row, : len(told)], alone, atol=2e-5, rtol=1e-4)
            assert batch.targets[row, : len(told)].tolist() == told.tolist()
            assert (batch.targets[row, len(told) :] == IGNORE).all()
