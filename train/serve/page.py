"""What the page asks for: about the model, an answer token by token, its passages, a document, the audit, the card."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from train.records import BadInput, printable
from train.sample import Answer, Sampling, Step
from train.serve.asked import LONGEST_TEXT, MOST_TOKENS, Refusal, check, error, read
from train.serve.auditor import Auditor
from train.serve.line import Line
from train.serve.opened import Opened, mark
from train.tokens import Message

STATIC = Path(__file__).with_name("static")
_OPTIONS = 8  # tokens that are shown beside the one that was drawn
_LONGEST_TRACE = 4 * LONGEST_TEXT  # characters: a prompt and its answer
_PASSAGES = 8
_LOOKED_UP_AT_ONCE = 2  # texts and documents; who waits is one of the server's connections


class Page:
    """The page's routes."""

    def __init__(self, opened: Opened, line: Line, auditor: Auditor) -> None:
        self._opened, self._line, self._auditor = opened, line, auditor
        self._desk = CapacityLimiter(_LOOKED_UP_AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        """Where each is found."""
        return [
            Route("/", _file("index.html")),
            Route("/document", _file("document.html")),
            Route("/api/about", self.about),
            Route("/api/card", self.card),
            Route("/api/audit", self.audit),
            Route("/api/document", self.document),
            Route("/api/say", self.say, methods=["POST"]),
            Route("/api/trace", self.trace, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def about(self, _: Request) -> Response:
        """What is said of the model before it is asked, and what the controls begin with."""
        opened, usual = self._opened, self._opened.sampling
        return JSONResponse(
            opened.about
            | {"name": opened.name, "untraceable": opened.untraceable}
            | {"limits": {"prompt": LONGEST_TEXT, "max_tokens": MOST_TOKENS}}
            | {"sampling": {name: getattr(usual, name) for name in ("temperature", "top_k", "max_tokens", "seed")}}
        )

    async def card(self, _: Request) -> Response:
        """The model card, as it is written."""
        return JSONResponse({"text": self._opened.card})

    async def audit(self, _: Request) -> Response:
        """The audit's answer, or that it is being computed."""
        return JSONResponse(self._auditor.answer)

    async def say(self, request: Request) -> Response:
        """An answer, a line of JSON for each token, with what could have stood in its place; after the messages in
        `before`, of a model that was tuned to answer."""
        asked = await read(request)
        sampling = asked.sampling(self._opened.sampling)
        prompt, ahead = asked.text("prompt"), self._line.ahead()
        if self._opened.converses:
            before = asked.messages("before") if asked.has("before") else []
            answer: Answer = await run_sync(self._opened.speaker.reply, [*before, Message("user", prompt)])
            pieces = [f"{prompt}\n", ""]  # looked up or read aloud, it is no part of the answer's first word
        else:
            answer = check(await run_sync(self._opened.speaker.complete, prompt))
            pieces = answer.pieces()
        begin = {"pieces": pieces, "ahead": ahead}
        return StreamingResponse(self._lines(begin, answer, sampling), media_type="application/x-ndjson")

    async def _lines(self, begin: dict[str, Any], answer: Answer, sampling: Sampling) -> AsyncIterator[str]:
        yield _line(begin)
        count = 0
        try:
            async with aclosing(self._line.write(answer, sampling)) as steps:
                async for step in steps:
                    count += 1
                    yield _line(self._shown(step))
        except (BadInput, Refusal) as refused:
            yield _line(error(str(refused)))
            return
        yield _line({"tokens": count, "cut_short": answer.is_cut_short(count, sampling)})

    def _shown(self, step: Step) -> dict[str, Any]:
        label, drawn = self._opened.speaker.label, step.drawn
        options = [
            {"text": label(one.token), "chance": one.chance, "share": one.share, "drawn": one.token == drawn.token}
            for one in drawn.options(_OPTIONS)
        ]
        return {"text": step.text, "blank": step.blank, "options": options}

    async def trace(self, request: Request) -> Response:
        """The passages of a text that stand in the training texts."""
        text, trace = (await read(request)).text("text", _LONGEST_TRACE), self._opened.trace
        if trace is None:
            raise Refusal(404, self._opened.untraceable)
        answer = await run_sync(lambda: trace.text(text, most=_PASSAGES), limiter=self._desk)
        return JSONResponse(answer.record())

    async def document(self, request: Request) -> Response:
        """A document, cut where some words stand in it. `where`: in which of the texts that were looked into it is."""
        where, id, words = (request.query_params.get(name, "") for name in ("where", "id", "words"))
        if len(words) > LONGEST_TEXT:
            raise Refusal(400, f"words is longer than {LONGEST_TEXT} characters", "words")
        found = await run_sync(self._opened.document, where, id, limiter=self._desk)
        if found is None:
            raise Refusal(404, f"no training document has the id {printable(id)[:80]}", "id")
        parts, before, behind = await run_sync(mark, found.text, words, limiter=self._desk)
        about = {name: value for name, value in found.metadata().items() if name not in {"sha256", "split"}}
        return JSONResponse(about | {"parts": parts, "before": before, "behind": behind})


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value) + "\n"


def _file(name: str) -> Any:
    async def send(_: Request) -> Response:
        return FileResponse(STATIC / name)

    return send
