"""The endpoint for other programs, in OpenAI's format: models, completions, chat completions, whole or streamed.

A completion is what the model writes: what comes after the prompt, a T5's words for the blanks, a BERT's for the masks.
"""

import json
import math
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from train.records import BadInput
from train.sample import Answer, Sampling, Speaker, Step
from train.serve.asked import Asked, Refusal, as_text, check, error, read
from train.serve.line import Line
from train.serve.opened import Opened
from train.serve.stops import read_stops, until

_MOST_LOGPROBS = 8
_USUAL = Sampling(max_tokens=16, temperature=1.0, top_k=0)  # OpenAI's, where a request does not say
# Fields that would change the answer and are not there, and the values with which they change nothing.
_ONLY: dict[str, tuple[Any, ...]] = {
    "n": (1,), "best_of": (1,), "top_p": (1,), "presence_penalty": (0,), "frequency_penalty": (0,), "echo": (False,),
    "suffix": ("",), "logit_bias": ({},), "tools": ([],), "functions": ([],), "response_format": ({"type": "text"},),
}  # fmt: skip


@dataclass
class Writing:
    """An answer that is being written: what a request asked for, and how far it is."""

    chat: bool
    answer: Answer
    sampling: Sampling
    stops: list[str]
    logprobs: int | None = None
    usage: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))
    drawn: int = 0
    finish: str = ""

    def envelope(self, name: str, choices: list[dict[str, Any]], part: bool) -> dict[str, Any]:
        """A response around its choices; `part`: one of several."""
        kind = ("chat.completion.chunk" if part else "chat.completion") if self.chat else "text_completion"
        prefix = "chatcmpl" if self.chat else "cmpl"
        head = {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": name}
        return head | {"choices": choices}

    def choice(self, text: str, logprobs: dict[str, Any] | None, part: bool) -> dict[str, Any]:
        """The answer, or a part of it."""
        rest = {"index": 0, "logprobs": logprobs, "finish_reason": self.finish or None}
        if not self.chat:
            return rest | {"text": text}
        if not part:
            return rest | {"message": {"role": "assistant", "content": text}}
        return rest | {"delta": {"content": text} if text else {}}

    def count(self) -> dict[str, int]:
        """How many tokens were read and written."""
        read, written = self.answer.prompt_tokens, self.drawn
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class Endpoint:
    """The endpoint's routes."""

    def __init__(self, opened: Opened, line: Line) -> None:
        self._opened, self._line = opened, line
        self._model = {"id": opened.name, "object": "model", "created": int(time.time()), "owned_by": "fusee"}

    def routes(self) -> list[BaseRoute]:
        """Where each is found."""
        return [
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ]

    async def models(self, _: Request) -> Response:
        """The one model that is served."""
        return JSONResponse({"object": "list", "data": [self._model]})

    async def model(self, request: Request) -> Response:
        """The same, by its name."""
        self._must_be_ours(request.path_params["name"])
        return JSONResponse(self._model)

    async def completions(self, request: Request) -> Response:
        """What the model writes into a prompt, or after it."""
        asked = await read(request)
        self._must_be_ours(asked.get("model"))
        prompt = asked.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        text = as_text(prompt, "prompt")
        answer = check(await run_sync(self._opened.speaker.complete, text))
        logprobs = asked.whole("logprobs", 0, _MOST_LOGPROBS, 0) if asked.has("logprobs") else None
        writing = replace(_writing(asked, answer, asked.sampling(_drawn_anew())), logprobs=logprobs)
        return await self._respond(request, asked, writing)

    async def chat(self, request: Request) -> Response:
        """The next message of a conversation, for a model that was tuned to converse."""
        asked = await read(request)
        self._must_be_ours(asked.get("model"))
        if not self._opened.converses:
            raise Refusal(
                400, "this model has no chat template: it goes on with texts; use /v1/completions", "messages"
            )
        if asked.flag("logprobs"):
            raise Refusal(400, "logprobs: /v1/completions has them", "logprobs")
        answer = await run_sync(self._opened.speaker.reply, asked.messages("messages"))
        named = "max_completion_tokens" if asked.has("max_completion_tokens") else "max_tokens"
        sampling = asked.sampling(replace(_drawn_anew(), max_tokens=self._opened.sampling.max_tokens), named)
        writing = replace(_writing(asked, answer, sampling), chat=True)
        return await self._respond(request, asked, writing)

    def _must_be_ours(self, name: Any) -> None:
        if name != self._opened.name:
            asked = as_text(name, "model")
            raise Refusal(
                404, f"there is no model {asked[:80]}; here is {self._opened.name}", "model", "model_not_found"
            )

    async def _respond(self, request: Request, asked: Asked, writing: Writing) -> Response:
        self._line.ahead()
        if asked.flag("stream"):
            return StreamingResponse(self._events(writing), media_type="text/event-stream")
        texts, steps = [], []
        async with aclosing(self._write(writing)) as parts:
            async for step, text in parts:
                steps.append(step)
                texts.append(text)
                if await request.is_disconnected():
                    break
        logprobs = self._logprobs(writing, steps)
        choice = writing.choice("".join(texts), logprobs, part=False)
        return JSONResponse(writing.envelope(self._opened.name, [choice], part=False) | {"usage": writing.count()})

    async def _events(self, writing: Writing) -> AsyncIterator[str]:
        name = self._opened.name
        if writing.chat:
            first = writing.choice("", None, part=True) | {"delta": {"role": "assistant", "content": ""}}
            yield _event(writing.envelope(name, [first], part=True))
        try:
            async with aclosing(self._write(writing)) as parts:
                async for step, text in parts:
                    choice = writing.choice(text, self._logprobs(writing, [step]), part=True)
                    yield _event(writing.envelope(name, [choice], part=True))
        except (BadInput, Refusal) as refused:
            yield _event(error(str(refused), getattr(refused, "status", 400)))
            return
        yield _event(writing.envelope(name, [writing.choice("", None, part=True)], part=True))
        if writing.usage:
            yield _event(writing.envelope(name, [], part=True) | {"usage": writing.count()})
        yield "data: [DONE]\n\n"

    async def _write(self, writing: Writing) -> AsyncGenerator[tuple[Step, str], None]:
        """Each token and the text that is given out with it; notes how many there were, and why it ended."""
        async with (
            aclosing(self._line.write(writing.answer, writing.sampling)) as steps,
            aclosing(until(steps, writing.stops)) as parts,
        ):
            async for step, text, stopped in parts:
                writing.drawn += 1
                yield step, text
                if stopped:
                    writing.finish = "stop"
                    return
        cut = writing.answer.is_cut_short(writing.drawn, writing.sampling)
        writing.finish = "length" if cut else "stop"

    def _logprobs(self, writing: Writing, steps: list[Step]) -> dict[str, Any] | None:
        if writing.logprobs is None:
            return None
        return _logprobs_of(self._opened.speaker, steps, writing.logprobs)


def _drawn_anew() -> Sampling:
    """Where a request names no seed, each has its own."""
    return replace(_USUAL, seed=secrets.randbits(32))


def _writing(asked: Asked, answer: Answer, sampling: Sampling) -> Writing:
    for name, values in _ONLY.items():
        if asked.has(name) and asked.get(name) not in values:
            raise Refusal(400, f"{name} is not supported, except as {json.dumps(values[0])}", name)
    options = asked.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return Writing(False, answer, sampling, read_stops(asked.get("stop")), usage=usage)


def _logprobs_of(speaker: Speaker, steps: list[Step], most: int) -> dict[str, Any]:
    """Of the model's own distribution, before temperature and top_k."""
    rows = [step.drawn.options(most) for step in steps]
    own = [next(one for one in row if one.token == step.drawn.token) for step, row in zip(steps, rows, strict=True)]
    lengths = [len(step.text) for step in steps]
    return {
        "tokens": [speaker.label(one.token) for one in own],
        "token_logprobs": [_log(one.chance) for one in own],
        "top_logprobs": [{speaker.label(one.token): _log(one.chance) for one in row} for row in rows] if most else None,
        "text_offset": [sum(lengths[:number]) for number in range(len(steps))],
    }


def _log(chance: float) -> float:
    return math.log(max(chance, 1e-38))


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"
