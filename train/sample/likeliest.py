"""An answer held against a model: how far each of its tokens is from the likeliest one there."""

from collections.abc import Iterator
from itertools import groupby

import torch
from torch import Tensor

from train.model import T5, Decoder, LanguageModel
from train.records import BadInput
from train.sample.ahead import device_of, window_start
from train.tokens import Vocabulary


@torch.no_grad()
def behind_the_likeliest(
    model: LanguageModel, vocabulary: Vocabulary, asked: list[int], said: list[int]
) -> list[float]:
    """Of each token of `said`, after `asked` and those before: by how many nats it is behind the likeliest one."""
    if not said:
        return []
    if isinstance(model, T5):
        told = torch.tensor([[vocabulary.need("pad"), *said]], device=device_of(model))
        hidden = model.hidden(torch.tensor([asked], device=told.device), told)[0, :-1]
    else:
        hidden = torch.cat([*_hidden_ahead(model, [*asked, *said], len(asked))])
    logits = model.head(hidden).float()[:, : vocabulary.size]
    chosen = logits.gather(1, torch.tensor([said], device=logits.device).T)[:, 0]
    behind: list[float] = (logits.amax(1) - chosen).tolist()
    return behind


def _hidden_ahead(model: LanguageModel, tokens: list[int], first: int) -> Iterator[Tensor]:
    """The hidden states from which each of `tokens` is predicted, from the `first` on, (N, D) a window; the windows
    are those of `go_on`."""
    if not isinstance(model, Decoder):
        raise BadInput(f"a {model.config.name} does not go on with a text")
    places, length = range(first, len(tokens)), model.config.seq_len
    for start, inside in groupby(places, lambda place: window_start(place, length)):
        here = list(inside)
        given = torch.tensor([tokens[start : here[-1]]], device=device_of(model))
        yield model.hidden(given)[0, here[0] - 1 - start :]
