"""A speaker from a folder: a release, or what Hugging Face's programs write."""

from pathlib import Path

from train.hugging_face import from_hugging_face
from train.model import Bert, Labeller
from train.records import BadInput, printable
from train.sample.draw import Sampling
from train.sample.speaker import Speaker
from train.tokens import load_chat, load_tokenizer, load_vocabulary


def open_speaker(folder: Path) -> Speaker:
    """The model in `folder`: a release, or any folder in Hugging Face's format of a family known here."""
    if not folder.is_dir():
        raise BadInput(f"{printable(str(folder))}: there is no such folder")
    vocabulary, model = load_vocabulary(folder), from_hugging_face(folder)
    if isinstance(model, Labeller):
        raise BadInput(
            f"{printable(str(folder))}: puts labels on what it reads, and says nothing; its card has its use"
        )
    return Speaker(model, load_tokenizer(folder), vocabulary, None if isinstance(model, Bert) else load_chat(folder))


def speak(folder: Path, prompt: str, sampling: Sampling) -> str:
    """Text from the model in `folder`."""
    return open_speaker(folder).say(prompt, sampling)
