"""The execution of one call's documents: fetched, performed verb by verb, left for other documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from .calls import Call
from .documents import BadDocument, flag, parse_document
from .orders import absolute
from .progress import document_fields
from .space import Space
from .webhooks import Script, TooLarge, Undelivered, Webhook, without_query

__all__ = ["Ended", "Ending", "Execution", "Redirected", "Verb"]


class Ending(StrEnum):
    """How the execution of a call's documents came to its end."""

    RAN_OUT = "ran_out"
    HANGUP = "hangup"
    REJECTED = "rejected"
    REJECTED_BUSY = "rejected_busy"
    NO_DOCUMENT = "no_document"


class Redirected(Exception):
    """Raised by a verb: another document goes on, and is told these fields too."""

    def __init__(self, target: Webhook, fields: Mapping[str, str] | None = None) -> None:
        self.target = target
        self.fields = dict(fields or {})
        super().__init__(without_query(target.url))


class Ended(Exception):
    """Raised by a verb: the documents are over."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        super().__init__(ending)


class Execution:
    """What a verb knows of the call and the document that it belongs to.

    `answer` is called before the first verb that needs an answered call. `fields` are told to every document's address
    in addition to the standard ones.
    """

    def __init__(
        self,
        space: Space,
        call: Call,
        verbs: Mapping[str, Verb],
        *,
        answer: Callable[[], None],
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self.space = space
        self.call = call
        self.answer = answer
        self.base: Webhook | None = None
        """Where the running document came from; None for one that was given as text."""
        self._verbs = verbs
        self._fields = dict(fields or {})

    async def run(self, script: Script) -> Ending:
        """Fetch and execute, redirect by redirect, until the documents say or imply that the call is over."""
        document, fallback = script.document, script.fallback
        fields: Mapping[str, str] = {}
        while True:
            try:
                await self.perform(await self._load(document, fallback, fields))
            except BadDocument:
                return Ending.NO_DOCUMENT
            except Redirected as redirected:
                document, fallback, fields = redirected.target, None, redirected.fields
            except Ended as ended:
                return ended.ending
            else:
                # SignalWire documents that a document which runs out ends the call.
                self.answer()
                return Ending.RAN_OUT

    async def perform(self, verbs: Iterable[Element], *, only: Iterable[str] | None = None) -> None:
        """Execute verbs in their order; of nested ones, `only` those that the outer verb may hold."""
        for verb in verbs:
            perform = self._verbs.get(verb.tag)
            if perform is None or (only is not None and verb.tag not in only):
                self.note(13750, f"verb {verb.tag} skipped")
                continue
            if not _leaves_unanswered(verb):
                self.answer()
            await perform(self, verb)

    def webhook(self, element: Element, url: str = "action", method: str = "method") -> Webhook | None:
        """Return the address in that attribute, relative ones resolved; None where there is none that can be used."""
        text = element.get(url)
        return None if text is None else self.located(text, element.get(method))

    def located(self, text: str, method: str | None) -> Webhook | None:
        """Return that address, relative ones resolved; None where it cannot be used."""
        wanted = (method or "POST").upper()
        try:
            target = urljoin("" if self.base is None else self.base.url, text.strip())
        except ValueError:
            target = ""
        if not absolute(target) or wanted not in ("GET", "POST"):
            self.note(11200, "an address in the document is bad")
            return None
        return Webhook(url=target, method=wanted)

    def note(self, code: int, words: str) -> None:
        """Write down what SignalWire would tell its dashboard."""
        self.space.note("provider", f"dashboard {code}", words, CallSid=self.call.sid)

    async def _load(
        self, document: Webhook | str, fallback: Webhook | None, fields: Mapping[str, str]
    ) -> list[Element]:
        try:
            if isinstance(document, str):
                self.base = None
                return parse_document(document)
            return await self._fetch(document, fields)
        except BadDocument as error:
            self.space.note("provider", f"dashboard {error.code}", str(error), CallSid=self.call.sid)
            if fallback is None:
                raise
            return await self._load(fallback, None, fields)

    async def _fetch(self, webhook: Webhook, extra: Mapping[str, str]) -> list[Element]:
        line = f"{webhook.method} document"
        fields = document_fields(self.call, self.space) | self._fields | dict(extra)
        noted = {"CallSid": self.call.sid, "CallStatus": fields["CallStatus"], "Url": without_query(webhook.url)}
        try:
            response = await self.space.courier.carry(webhook, fields)
        except TooLarge as error:
            self.space.note("provider", line, str(error), **noted)
            raise BadDocument(11750, str(error)) from error
        except Undelivered as error:
            self.space.note("provider", line, str(error), **noted)
            raise BadDocument(11200, str(error)) from error
        self.space.note("provider", line, str(response.status_code), **noted)
        if not response.is_success:
            raise BadDocument(11217, f"the application answered {response.status_code}")
        content_type = response.headers["content-type"].partition(";")[0].strip().lower()
        if content_type not in ("text/xml", "application/xml"):
            raise BadDocument(12300, f"a document of type {content_type or 'none'}")
        self.base = webhook
        return parse_document(response.text)


Verb = Callable[[Execution, Element], Awaitable[None]]
"""What executes a verb. It may raise `Redirected` and `Ended`, and is cancelled where its document is abandoned."""


def _leaves_unanswered(verb: Element) -> bool:
    """SignalWire documents that neither a pause at the start nor a rejection answers an inbound call."""
    return verb.tag in ("Pause", "Redirect", "Reject") or (verb.tag == "Dial" and flag(verb.get("answerOnBridge")))
