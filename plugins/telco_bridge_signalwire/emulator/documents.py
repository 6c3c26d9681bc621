"""cXML: reading a document, and executing it verb by verb."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from xml.etree.ElementTree import Element, ParseError, fromstring

from .calls import Call, Direction
from .orders import OrderRefused, absolute, document_stream
from .progress import document_fields
from .space import Space
from .webhooks import Script, TooLarge, Undelivered, Webhook, without_query

if TYPE_CHECKING:
    from .streams import Stream, Streams

__all__ = ["BadDocument", "Ending", "Interpreter", "parse_document"]

_CHARACTERS_PER_SECOND = 15.0
"""How fast `Say` is taken to speak."""


class Ending(StrEnum):
    """How the execution of a call's documents came to its end."""

    RAN_OUT = "ran_out"
    HANGUP = "hangup"
    REJECTED = "rejected"
    REJECTED_BUSY = "rejected_busy"
    NO_DOCUMENT = "no_document"


class BadDocument(Exception):
    """No document could be had, or it cannot be executed. `code` is what SignalWire's dashboard would log."""

    def __init__(self, code: int, words: str) -> None:
        self.code = code
        super().__init__(f"{code} {words}")


class _Redirected(Exception):
    """Another document goes on."""

    def __init__(self, target: Webhook) -> None:
        self.target = target
        super().__init__(target.url)


class _Ended(Exception):
    """The document says that the call is over."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        super().__init__(ending)


def parse_document(text: str) -> list[Element]:
    """Return the document's verbs. Raises `BadDocument` for what is no `<Response>`."""
    if text[:1].isspace():
        raise BadDocument(12100, "white space before the document")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadDocument(12100, "declarations are not accepted")
    try:
        root = fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
    except ParseError as error:
        raise BadDocument(12100, "the document does not parse") from error
    if root.tag != "Response":
        raise BadDocument(12100, "the root is not Response")
    return list(root)


class Interpreter:
    """Executes one call's documents. `answer` is called before the first verb that needs an answered call."""

    def __init__(self, space: Space, streams: Streams, call: Call, answer: Callable[[], None]) -> None:
        self._space = space
        self._streams = streams
        self._call = call
        self._answer = answer
        self._base = ""
        self._verbs: dict[str, Callable[[Element], Awaitable[None]]] = {
            "Connect": self._connect,
            "Hangup": self._hangup,
            "Pause": self._pause,
            "Redirect": self._redirect,
            "Reject": self._reject,
            "Say": self._say,
            "Start": self._start,
            "Stop": self._stop,
        }

    async def run(self, script: Script) -> Ending:
        """Fetch and execute, redirect by redirect, until the documents say or imply that the call is over."""
        document, fallback = script.document, script.fallback
        while True:
            try:
                verbs = await self._load(document, fallback)
                for verb in verbs:
                    await self._execute(verb)
            except BadDocument:
                return Ending.NO_DOCUMENT
            except _Redirected as redirected:
                document, fallback = redirected.target, None
            except _Ended as ended:
                return ended.ending
            else:
                # SignalWire documents that a document which runs out ends the call.
                self._answer()
                return Ending.RAN_OUT

    async def _load(self, document: Webhook | str, fallback: Webhook | None) -> list[Element]:
        try:
            if isinstance(document, str):
                return parse_document(document)
            return await self._fetch(document)
        except BadDocument as error:
            self._space.note("provider", f"dashboard {error.code}", str(error), CallSid=self._call.sid)
            if fallback is None:
                raise
            return await self._load(fallback, None)

    async def _fetch(self, webhook: Webhook) -> list[Element]:
        line = f"{webhook.method} document"
        fields = document_fields(self._call, self._space)
        noted = {"CallSid": self._call.sid, "CallStatus": fields["CallStatus"], "Url": without_query(webhook.url)}
        try:
            response = await self._space.courier.carry(webhook, fields)
        except TooLarge as error:
            self._space.note("provider", line, str(error), **noted)
            raise BadDocument(11750, str(error)) from error
        except Undelivered as error:
            self._space.note("provider", line, str(error), **noted)
            raise BadDocument(11200, str(error)) from error
        self._space.note("provider", line, str(response.status_code), **noted)
        if not response.is_success:
            raise BadDocument(11217, f"the application answered {response.status_code}")
        content_type = response.headers["content-type"].partition(";")[0].strip().lower()
        if content_type not in ("text/xml", "application/xml"):
            raise BadDocument(12300, f"a document of type {content_type or 'none'}")
        self._base = webhook.url
        return parse_document(response.text)

    async def _execute(self, verb: Element) -> None:
        perform = self._verbs.get(verb.tag)
        if perform is None:
            self._space.note("provider", "dashboard 13750", f"verb {verb.tag} skipped", CallSid=self._call.sid)
            return
        # SignalWire documents that neither a pause at the start nor a rejection answers an inbound call.
        if verb.tag not in ("Pause", "Redirect", "Reject"):
            self._answer()
        await perform(verb)

    async def _hangup(self, verb: Element) -> None:
        raise _Ended(Ending.HANGUP)

    async def _pause(self, verb: Element) -> None:
        await self._space.pause(_number(verb.get("length"), 1.0))

    async def _say(self, verb: Element) -> None:
        times = _number(verb.get("loop"), 1.0) or math.inf
        seconds = len("".join(verb.itertext()).strip()) / _CHARACTERS_PER_SECOND
        while times > 0:
            await self._space.pause(max(seconds, 0.1))
            times -= 1

    async def _redirect(self, verb: Element) -> None:
        url = urljoin(self._base, (verb.text or "").strip())
        method = verb.get("method", "POST").upper()
        if not absolute(url) or method not in ("GET", "POST"):
            self._space.note("provider", "dashboard 11200", "bad redirect", CallSid=self._call.sid)
            raise _Ended(Ending.NO_DOCUMENT)
        raise _Redirected(Webhook(url=url, method=method))

    async def _reject(self, verb: Element) -> None:
        if self._call.direction is Direction.OUTBOUND or self._call.answered is not None:
            self._space.note("provider", "dashboard 13750", "Reject skipped", CallSid=self._call.sid)
            return
        raise _Ended(Ending.REJECTED_BUSY if verb.get("reason") == "busy" else Ending.REJECTED)

    async def _start(self, verb: Element) -> None:
        for noun in verb.findall("Stream"):
            self._stream(noun, two_way=False)

    async def _connect(self, verb: Element) -> None:
        noun = verb.find("Stream")
        if noun is None:
            self._space.note("provider", "dashboard 13750", "Connect skipped", CallSid=self._call.sid)
            return
        stream = self._stream(noun, two_way=True)
        if stream.running is None:
            return
        try:
            await asyncio.wait({stream.running})
        finally:
            # Where the document is abandoned, so is what it waits for.
            self._streams.stop(stream)

    def _stream(self, noun: Element, *, two_way: bool) -> Stream:
        try:
            order = document_stream(noun, two_way=two_way, allow_loopback_ws=self._space.allow_loopback_ws)
        except OrderRefused as refused:
            return self._streams.refuse(self._call, refused.order, refused.error)
        return self._streams.start(self._call, order)

    async def _stop(self, verb: Element) -> None:
        for noun in verb.findall("Stream"):
            stream = self._streams.find(self._call, noun.get("name", ""))
            if stream is not None:
                self._streams.stop(stream)


def _number(text: str | None, default: float) -> float:
    """The attribute's value; the default where it is absent or no number of seconds or times."""
    try:
        value = float(text) if text is not None else default
    except ValueError:
        return default
    return value if math.isfinite(value) and value >= 0 else default
