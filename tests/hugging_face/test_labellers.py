"""Encoders with heads for labels, against `transformers`: the same logits, both ways, padded and paired."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from train.hugging_face import from_hugging_face, to_hugging_face
from train.model import BertConfig, Labeller, Purpose, XLNetConfig, build_model
from train.records import BadInput, read_json

SHAPE = {"vocab_size": 60, "seq_len": 24, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32}
CONFIGS = {"bert": BertConfig(**SHAPE), "xlnet": XLNetConfig(**SHAPE)}
LABELS = {Purpose.tag: ("ADJ", "NOUN", "VERB"), Purpose.classify: ("a", "b"), Purpose.extract: ()}
AUTO = {
    Purpose.tag: "AutoModelForTokenClassification",
    Purpose.classify: "AutoModelForSequenceClassification",
    Purpose.extract: "AutoModelForQuestionAnswering",
}
EVERY = [(family, purpose) for family in CONFIGS for purpose in Purpose]


def make(family: str, purpose: Purpose) -> Labeller:
    base = build_model(CONFIGS[family])
    base.initialise(3)
    model = Labeller(base, purpose, LABELS[purpose]).begin(4)
    for number, parameter in enumerate(model.parameters()):  # biases too, so that none may be left out
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return model.eval()


def inputs() -> dict[str, torch.Tensor]:
    """Two pairs of texts, of BERT's side or XLNet's the shorter one padded."""
    draws = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 60, (2, 20), generator=draws)
    segments = (torch.arange(20) > 8).long().expand(2, -1)
    return {"tokens": tokens, "segments": segments, "attention_mask": torch.ones(2, 20, dtype=torch.bool)}


def theirs(found: Any, given: dict[str, torch.Tensor]) -> torch.Tensor:
    out = found(
        input_ids=given["tokens"], token_type_ids=given["segments"], attention_mask=given["attention_mask"].long()
    )
    return out.logits if "logits" in out else torch.stack([out.start_logits, out.end_logits], -1)


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_transformers_gives_the_same_logits(family: str, purpose: Purpose, tmp_path: Path) -> None:
    import transformers

    model, given = make(family, purpose), inputs()
    left = family == "xlnet"
    given["attention_mask"][1, slice(0, 5) if left else slice(15, 20)] = False
    to_hugging_face(model, tmp_path)
    found, about = getattr(transformers, AUTO[purpose]).from_pretrained(tmp_path, output_loading_info=True)
    assert not about["missing_keys"]
    assert not about["unexpected_keys"]
    assert type(found).__name__ == model.ARCHITECTURE
    assert tuple(found.config.id2label.values()) == (LABELS[purpose] or ("LABEL_0", "LABEL_1"))
    with torch.no_grad():
        ours, wanted = model(**given), theirs(found.eval(), given)
    if purpose is Purpose.classify:
        ours = ours[:, 0]
    else:
        real = given["attention_mask"]
        ours, wanted = ours[real], wanted[real]
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("family", "purpose"), EVERY)
def test_it_comes_back_with_its_labels(family: str, purpose: Purpose, tmp_path: Path) -> None:
    model = make(family, purpose)
    to_hugging_face(model, tmp_path)
    again = from_hugging_face(tmp_path)
    assert isinstance(again, Labeller)
    assert (again.purpose, again.labels) == (purpose, LABELS[purpose])
    assert dict(model.named_parameters()).keys() == dict(again.named_parameters()).keys()
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs()), again.eval()(**inputs()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, "its numbers are not 0, 1, 2"),
        ({"id2label": ["a", "b"]}, "must be a table of names"),
        ({"id2label": {"0": 1, "1": "b"}}, "must be a table of names"),
        ({"id2label": {str(n): str(n) for n in range(5)}}, "classifier.*has shape"),
        ({"summary_type": "mean"}, "summary_type='mean' is not supported here"),
    ],
)
def test_a_config_that_does_not_fit_is_a_line(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    to_hugging_face(make("xlnet" if "summary_type" in change else "bert", Purpose.classify), tmp_path)
    about = tmp_path / "config.json"
    about.write_text(json.dumps(read_json(about) | change))
    with pytest.raises(BadInput, match=says):
        from_hugging_face(tmp_path)
