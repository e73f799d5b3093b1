"""An encoder that puts labels on what it reads: a BERT or an XLNet with another head in place of its language model's.

| purpose    | the head is applied to                                             | and gives                          |
|------------|--------------------------------------------------------------------|------------------------------------|
| `tag`      | every token                                                        | a tag                              |
| `classify` | one more layer, its tanh, at BERT's first and XLNet's last token   | a label for the whole              |
| `extract`  | every token                                                        | whether an answer begins, ends     |

As in Devlin et al., 2019, section 4, and in Hugging Face's classes, whose tensors these are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from train.model.bert import Bert
from train.model.dropout import Dropout, number_dropouts
from train.model.init import summed_values
from train.model.language_model import LanguageModel
from train.model.theirs import Stored, linear
from train.model.xlnet import XLNet
from train.numerics import piece_of
from train.records import BadInput, printable


class Purpose(Enum):
    """What the labels are of."""

    tag = "tag"
    classify = "classify"
    extract = "extract"


_THEIRS = {
    ("bert", Purpose.tag): "BertForTokenClassification",
    ("bert", Purpose.classify): "BertForSequenceClassification",
    ("bert", Purpose.extract): "BertForQuestionAnswering",
    ("xlnet", Purpose.tag): "XLNetForTokenClassification",
    ("xlnet", Purpose.classify): "XLNetForSequenceClassification",
    ("xlnet", Purpose.extract): "XLNetForQuestionAnsweringSimple",
}
_OF = {name: (family, purpose) for (family, purpose), name in _THEIRS.items()}
_MOST = 2**16  # labels: beyond, a file from outside asks for memory
_POOL = {"bert": "bert.pooler.dense", "xlnet": "sequence_summary.summary"}
_HEADS = {
    ("bert", Purpose.classify): "classifier",
    ("xlnet", Purpose.classify): "logits_proj",
}  # else classifier of tags, qa_outputs of answers


class Labeller(LanguageModel):
    """`encoder`, which it takes over, and a new head; `labels` in the order of their numbers, of answers none."""

    OBJECTIVE = "labels"

    def __init__(self, encoder: LanguageModel, purpose: Purpose, labels: Sequence[str]) -> None:
        super().__init__()
        if not isinstance(encoder, Bert | XLNet):
            raise BadInput(f"a {encoder.config.name} puts no labels on what it reads; bert and xlnet do")
        self.config, self.purpose, self.labels = encoder.config, purpose, tuple(labels)
        self.ARCHITECTURE = _THEIRS[encoder.config.name, purpose]  # type: ignore[misc]
        for name in [name for name, _ in encoder.named_children() if name in {"head", "transform", "transform_norm"}]:
            delattr(encoder, name)
        self.encoder = encoder
        width = encoder.config.d_model
        self.pool = nn.Linear(width, width) if purpose is Purpose.classify else None
        self.dropout = Dropout(encoder.config.dropout)
        self.head = nn.Linear(width, 2 if purpose is Purpose.extract else len(self.labels))
        number_dropouts(self)

    @property
    def blocks(self) -> Iterable[nn.Module]:  # type: ignore[override]
        """The encoder's."""
        return self.encoder.blocks

    def begin(self, seed: int) -> "Labeller":
        """Initial values of what the encoder did not have, from a hash of the seed: biases 0."""
        for name, parameter in self.named_parameters():
            if name.startswith(("pool.", "head.")):
                drawn = summed_values(piece_of(parameter), seed, name) * self.config.init_embedding
                parameter.data.copy_(torch.zeros_like(parameter) if name.endswith("bias") else drawn)
        return self

    def hidden(
        self,
        tokens: Int[Tensor, "B T"],
        segments: Int[Tensor, "B T"] | None = None,
        attention_mask: Bool[Tensor, "B T"] | None = None,
        noise: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B P D"]:
        """What the head is applied to, at every token; of a whole at one place."""
        x: Tensor = self.encoder.encode(tokens, segments=segments, attention_mask=attention_mask, noise=noise)
        if self.pool is not None:
            x = x[:, :1] if isinstance(self.encoder, Bert) else x[:, -1:]
            x = self.pool(x).tanh()
        out: Tensor = self.dropout(x, noise)
        return out

    def stored(self) -> Iterator[Stored]:
        """Their tensors: those of the encoder, but for its own head, and the new head's."""
        name = self.config.name
        for row in self.encoder.stored():
            if not row.ours[0].startswith(("head.", "transform")):
                yield Stored(row.theirs, tuple(f"encoder.{our}" for our in row.ours), row.join, row.split)
        if self.pool is not None:
            yield from linear(_POOL[name], "pool", bias=True)
        usual = "qa_outputs" if self.purpose is Purpose.extract else "classifier"
        yield from linear(_HEADS.get((name, self.purpose), usual), "head", bias=True)

    def about(self) -> dict[str, Any]:
        """The encoder's fields and the labels; of XLNet also which token stands for the whole."""
        found = self.encoder.about() | {"tie_word_embeddings": True}
        if self.labels:
            found["id2label"] = {str(number): label for number, label in enumerate(self.labels)}
            found["label2id"] = {label: number for number, label in enumerate(self.labels)}
        if self.config.name == "xlnet" and self.pool is not None:
            found |= {"summary_type": "last", "summary_use_proj": True, "summary_activation": "tanh"}
        return found

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Without what is computed: a table of positions that is only 0, 1, 2 ..."""
        return {name: tensor for name, tensor in tensors.items() if name != "bert.embeddings.position_ids"}


def purpose_of(theirs: Any) -> tuple[Purpose, tuple[str, ...]] | None:
    """What a config.json says that its model labels, and with what; None if that is a language model.

    Raises BadInput for labels that are none, and an XLNet that takes another token for the whole.
    """
    names = theirs.get("architectures")
    found = _OF.get(str(names[0])) if isinstance(names, list) and names else None
    if found is None or found[0] != theirs.get("model_type"):
        return None
    family, purpose = found
    usual = {"summary_type": "last", "summary_use_proj": True, "summary_activation": "tanh"}
    pooled = family == "xlnet" and purpose is Purpose.classify
    if odd := [name for name, value in usual.items() if pooled and theirs.get(name, value) != value]:
        raise BadInput(f"{odd[0]}={printable(repr(theirs[odd[0]]))[:40]} is not supported here, only {usual[odd[0]]!r}")
    if purpose is Purpose.extract:
        return purpose, ()
    labels = theirs.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    if not isinstance(labels, dict) or len(labels) > _MOST or not all(isinstance(v, str) for v in labels.values()):
        raise BadInput("id2label: must be a table of names, by their numbers")
    if set(labels) != {str(number) for number in range(len(labels))}:
        raise BadInput("id2label: its numbers are not 0, 1, 2 ...")
    return purpose, tuple(labels[str(number)] for number in range(len(labels)))
