"""What a request asks, held against its limits before anything is done with it; and how a request is refused."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from train.records import BadInput, printable
from train.sample import Answer, Sampling
from train.tokens import Message

LARGEST_BODY = 2**18  # bytes
LONGEST_TEXT = 32_000  # characters of a prompt
MOST_TOKENS = 2048  # of an answer
MOST_BLANKS = 100  # in a prompt
MOST_MESSAGES = 200  # of a conversation

_PATIENCE = 30  # seconds for a body to arrive


class Refusal(Exception):  # noqa: N818 - it says what is done
    """A request that is not answered: the status, in words why, and which field is to blame."""

    def __init__(self, status: int, why: str, field: str | None = None, code: str | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.field, self.code = status, why, field, code


def error(why: str, status: int = 400, field: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The body that says so, in OpenAI's format."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": printable(why), "type": kind, "param": field, "code": code}}


def refuse(refusal: Refusal | BadInput) -> JSONResponse:
    """The response to a request that is refused."""
    if isinstance(refusal, BadInput):
        return JSONResponse(error(str(refusal)), 400)
    headers = {"retry-after": "5"} if refusal.status == 503 else None
    return JSONResponse(error(refusal.why, refusal.status, refusal.field, refusal.code), refusal.status, headers)


class Asked:
    """The fields of a request. One that is absent or null has its default."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = {name: value for name, value in fields.items() if value is not None}

    def has(self, name: str) -> bool:
        """Whether the field was given."""
        return name in self._fields

    def get(self, name: str) -> Any:
        """A field as it came; None if it did not."""
        return self._fields.get(name)

    def text(self, name: str, most: int = LONGEST_TEXT) -> str:
        """A text that must be there, of `most` characters at most."""
        return as_text(self.get(name), name, most)

    def messages(self, name: str) -> list[Message]:
        """The turns of a conversation. A text may come in parts, as OpenAI's clients send it."""
        given = self.get(name)
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_MESSAGES:
            raise Refusal(400, f"{name} must be a list of 1 to {MOST_MESSAGES}", name)
        found = []
        for message in given:
            if not isinstance(message, dict):
                raise Refusal(400, "a message must be an object with role and content", name)
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text") if isinstance(part, dict) else None for part in content]
                content = "\n".join(as_text(text, name) for text in texts)
            found.append(Message(as_text(message.get("role"), "role", 40), as_text(content, "content")))
        return found

    def number(self, name: str, least: float, most: float, default: float) -> float:
        """A number from `least` to `most`."""
        value = self._fields.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise Refusal(400, f"{name} must be a number from {least:g} to {most:g}", name)
        return float(value)

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        """A whole number from `least` to `most`."""
        value = self._fields.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Refusal(400, f"{name} must be a whole number from {least} to {most}", name)
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if absent."""
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise Refusal(400, f"{name} must be true or false", name)
        return value

    def sampling(self, usual: Sampling, max_tokens: str = "max_tokens") -> Sampling:
        """How to draw; what the request does not say is as `usual`. `max_tokens`: the field's name."""
        return Sampling(
            max_tokens=self.whole(max_tokens, 1, MOST_TOKENS, min(usual.max_tokens, MOST_TOKENS)),
            temperature=self.number("temperature", 0, 10, usual.temperature),
            top_k=self.whole("top_k", 0, 2**31, usual.top_k),
            seed=self.whole("seed", 0, 2**53 - 1, usual.seed),
        )


def as_text(value: Any, name: str, most: int = LONGEST_TEXT) -> str:
    """`value`, if it is a text of `most` characters at most; halves of characters are replaced."""
    if not isinstance(value, str):
        raise Refusal(400, f"{name} must be a text", name)
    if len(value) > most:
        raise Refusal(400, f"{name} is longer than {most} characters", name)
    return value.encode("utf-8", "replace").decode()


def check(answer: Answer) -> Answer:
    """The same, if it does not ask for more blanks to be filled than is allowed."""
    if len(answer.blanks) > MOST_BLANKS:
        raise Refusal(400, f"a prompt has {MOST_BLANKS} blanks at most", "prompt")
    return answer


async def read(request: Request) -> Asked:
    """The JSON object in a request's body. Raises Refusal if it is none, too large, or does not arrive."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "the body must be application/json")
    data = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.stream():
                data += chunk
                if len(data) > LARGEST_BODY:
                    raise Refusal(413, f"the body is larger than {LARGEST_BODY >> 10} KB")
    except TimeoutError as late:
        raise Refusal(408, f"the body did not arrive within {_PATIENCE} seconds") from late
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as broken:
        raise Refusal(400, "the body cannot be read as JSON") from broken
    if not isinstance(fields, dict):
        raise Refusal(400, "the body must be a JSON object")
    return Asked(fields)
