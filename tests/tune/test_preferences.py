"""DPO: loss and gradient are those of `trl` on the same pairs, and packing them changes neither."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.hugging_face.variants import VOCABULARY, make
from train.hugging_face import to_hugging_face
from train.loss import token_log_probabilities
from train.model import LanguageModel
from train.numerics import uniform_integers
from train.records import IGNORE, Document
from train.tokens import ExampleStore
from train.tokens.shards import write_encoded
from train.tune import Packed, Preference

BETA = 0.3
PAIRS = [(5, 4, 6), (3, 9, 2), (8, 3, 3), (4, 1, 5), (6, 7, 8)]  # tokens of the prompt, the better and the worse answer


def pairs() -> list[tuple[list[int], list[int], list[int]]]:
    def draw(size: int, *key: int) -> list[int]:
        return (uniform_integers(size, *key) % np.uint64(VOCABULARY)).astype(np.int64).tolist()

    return [(draw(a, n, 0), draw(b, n, 1), draw(c, n, 2)) for n, (a, b, c) in enumerate(PAIRS)]


def ours(model: LanguageModel, reference: LanguageModel, folder: Path) -> tuple[float, dict[str, torch.Tensor]]:
    document = Document(id="a/b", text="", source="", sha256="", n_bytes=1)
    parts = [(prompt, answer) for prompt, better, worse in pairs() for answer in (better, worse)]
    write_encoded([(document, [p + a]) for p, a in parts], VOCABULARY, folder, "train", lambda _: None)
    masks = [(document, [[0] * len(p) + [1] * len(a)]) for p, a in parts]
    write_encoded(masks, 2, folder, "train-answers", lambda _: None)
    model.within_documents = reference.within_documents = True  # type: ignore[assignment]
    loss = Preference(reference, BETA)
    packed = Packed(ExampleStore(folder, "train"), 40, parts=2)
    assert len(packed) < len(PAIRS)
    batch = packed.batch(np.arange(len(packed)), 0, 0)
    assert loss.count(batch.targets, batch.inputs) == len(PAIRS)
    inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
    hidden = model.hidden(**inputs)
    value = loss(hidden, model.head, torch.from_numpy(batch.targets), inputs, torch.float32, False) / len(PAIRS)
    value.backward()
    return value.item(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def their_batch() -> dict[str, torch.Tensor]:
    """The better ones first, then the worse ones, padded, as `trl` takes them."""
    rows = [(p, b) for p, b, _ in pairs()] + [(p, w) for p, _, w in pairs()]
    size = max(len(p) + len(a) for p, a in rows)
    empty = [torch.zeros(len(rows), size, dtype=torch.int64) for _ in range(3)]
    tokens, there, answers = empty
    for row, (prompt, answer) in enumerate(rows):
        length = len(prompt) + len(answer)
        tokens[row, :length], there[row, :length] = torch.tensor(prompt + answer), 1
        answers[row, len(prompt) : length] = 1
    return {"input_ids": tokens, "attention_mask": there, "completion_mask": answers}


def trainer(model: Path, reference: Path, work: Path) -> Any:
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    words = {f"w{number}": number for number in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    processing = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w1", pad_token="w2")
    arguments = DPOConfig(output_dir=str(work), beta=BETA, use_cpu=True, bf16=False, report_to=[], max_length=None)
    rows = Dataset.from_dict({"prompt": ["w3"], "chosen": ["w4"], "rejected": ["w5"]})
    made = [AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (model, reference)]
    return DPOTrainer(made[0], made[1], args=arguments, train_dataset=rows, processing_class=processing)


def test_loss_and_gradient_are_those_of_trl(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    model, reference = make("llama-grouped", seed=1), make("llama-grouped", seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    to_hugging_face(model, tmp_path / "model")
    to_hugging_face(reference, tmp_path / "reference")
    found = trainer(tmp_path / "model", tmp_path / "reference", tmp_path / "work")
    theirs = found._compute_loss(found.model, their_batch(), return_outputs=False)
    theirs.backward()
    value, gradients = ours(model, reference, tmp_path / "store")
    assert value != pytest.approx(np.log(2), abs=1e-2)
    assert value == pytest.approx(theirs.item(), rel=1e-5)
    named = dict(found.model.named_parameters())
    for row in model.stored():
        wanted = named[row.theirs].grad
        mine = row.join([gradients[name] for name in row.ours])
        assert (mine - wanted).abs().max() <= 1e-4 * wanted.abs().max() + 1e-7, row.theirs


def test_before_it_has_learned_the_loss_is_the_logarithm_of_two(tmp_path: Path) -> None:
    value, gradients = ours(make("gpt2"), make("gpt2"), tmp_path)
    assert value == pytest.approx(np.log(2), abs=1e-6)
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 0


def test_log_probabilities_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    hidden = torch.randn(23, 8, generator=random, requires_grad=True)
    weight = torch.randn(50, 8, generator=random, requires_grad=True)
    bias = torch.randn(50, generator=random)
    targets = torch.randint(50, (23,), generator=random)
    targets[::4] = IGNORE
    wanted = -torch.nn.functional.cross_entropy(hidden @ weight.T + bias, targets, reduction="none")
    monkeypatch.setattr("train.loss._rows_at_once", lambda vocabulary: 4)
    found = token_log_probabilities(hidden, weight, targets, bias)
    torch.testing.assert_close(found, wanted)
    scale = torch.arange(23.0)
    for mine, theirs in zip(
        torch.autograd.grad((found * scale).sum(), [hidden, weight]),
        torch.autograd.grad((wanted * scale).sum(), [hidden, weight]),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)
