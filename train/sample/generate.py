"""Text from a model, token by token, each drawn from the model's distribution narrowed to its likely part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from train.hugging_face import from_hugging_face
from train.model import Llama
from train.records import BadInput, printable, read_json
from train.tokens import Tokenizer, load_tokenizer, token_id


@dataclass(kw_only=True, frozen=True)
class Sampling:
    """`temperature` 0 takes the likeliest token; `top_k` 0 lets all tokens in."""

    max_tokens: int = 100
    temperature: float = 0.8
    top_k: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or not 0 <= self.temperature < 1000 or self.top_k < 0 or not 0 <= self.seed < 2**53:
            raise BadInput("sampling: max_tokens must be at least 1; temperature, top_k and seed at least 0")


def generate(model: Llama, tokenizer: Tokenizer, prompt: str, end_of_text: str, sampling: Sampling) -> str:
    """`prompt` and what the model makes of it, up to its end of text."""
    first = token_id(tokenizer, end_of_text)
    prompt = prompt.encode("utf-8", "replace").decode()
    tokens = [first, *tokenizer.encode(prompt, add_special_tokens=False).ids]
    if max(tokens) >= model.config.vocab_size:
        raise BadInput("the tokenizer has more tokens than the model")
    new = list(_new_tokens(model, tokens, first, sampling))
    return str(tokenizer.decode(tokens[1:] + new))


def _new_tokens(model: Llama, tokens: list[int], stop: int, sampling: Sampling) -> Iterator[int]:
    device = next(model.parameters()).device
    random = torch.Generator().manual_seed(sampling.seed)
    seen = list(tokens)
    training = model.training
    model.eval()
    try:
        for _ in range(sampling.max_tokens):
            window = torch.tensor([seen[-model.config.seq_len :]], device=device)
            with torch.no_grad():
                logits = model.head(model.hidden(window)[:, -1])[0].float().cpu()
            token = _draw(logits, sampling, random)
            if token == stop:
                return
            seen.append(token)
            yield token
    finally:
        model.train(training)


def _draw(logits: Float[Tensor, " V"], sampling: Sampling, random: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    values, tokens = logits.topk(min(sampling.top_k, len(logits)) if sampling.top_k else len(logits))
    chances = (values / sampling.temperature).softmax(-1)
    return int(tokens[torch.multinomial(chances, 1, generator=random)])


def speak(folder: Path, prompt: str, sampling: Sampling) -> str:
    """Text from the model in `folder`: a release, or any folder in Hugging Face's format of a family known here."""
    if not folder.is_dir():
        raise BadInput(f"{printable(str(folder))}: there is no such folder")
    about = read_json(folder / "tokenizer_config.json")
    end_of_text = about.get("bos_token") or about.get("eos_token") if isinstance(about, dict) else None
    if not isinstance(end_of_text, str):
        raise BadInput(f"{folder}/tokenizer_config.json: names no bos_token to begin a text with")
    return generate(from_hugging_face(folder), load_tokenizer(folder), prompt, end_of_text, sampling)
