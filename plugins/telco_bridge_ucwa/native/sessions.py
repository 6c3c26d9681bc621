"""Media sessions beyond the neutral words: who answered an offer with what, and offers made while the call is up."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

import anyio
import httpx

from telco_bridge.provider import Cause

from ..application import Application
from ..body import Unreadable
from ..invitations import cause_of, failure_cause, outcome_of
from ..modalities import is_incoming
from ..resources import MODALITIES
from ..wire import Event, Resource, resource_in, sdp_in
from .participants import word_in

__all__ = ["MediaAnswer", "MediaSession", "Renegotiation", "SessionState", "Sessions", "session_of"]

_KEPT = 256
"""How many invitations' answers, and modalities' reasons, are kept."""


class SessionState(StrEnum):
    """How far a media session has come."""

    ESTABLISHING = "Establishing"
    ESTABLISHED = "Established"
    SUSPENDED = "Suspended"
    """It is parked, and ends if it is not resumed in time."""
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSession:
    """A media session at one moment. `offered` are the names of its links, `native_state` is the server's own word."""

    state: SessionState = SessionState.UNKNOWN
    native_state: str | None = None
    remote_endpoint: str | None = None
    session_context: str | None = None
    offered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaAnswer:
    """What one endpoint of the other party answered to an offer. Several may send `provisional` ones: early media.

    `accepted_content_id` names the alternative that was answered, where the offer had several.
    """

    sdp: str
    provisional: bool
    remote_endpoint: str | None = None
    session_context: str | None = None
    accepted_content_id: str | None = None


@dataclass(slots=True, eq=False)
class Renegotiation:
    """An offer of ours to change the media of a call: its operationId, what came of it, and where it is.

    `lost` says that the server has lost the application, and nothing will come of it.
    """

    id: str
    key: str | None = None
    event: Event | None = None
    lost: bool = False
    told: anyio.Event = field(default_factory=anyio.Event)

    @property
    def answer(self) -> str | None:
        """The other party's description, once it is known."""
        body = self.event.body if self.event is not None else None
        return sdp_in(body.data("mediaAnswer")) if body is not None else None

    @property
    def over(self) -> bool:
        """Whether nothing more will be told."""
        return self.event is not None and (self.event.type == "completed" or self.answer is not None)

    @property
    def reason(self) -> str:
        """Why it came to nothing, in the server's words."""
        if self.event is None:
            return "nothing was told"
        cause = failure_cause(self.event, self.event.body or Resource(rel=self.event.rel))
        parts = (cause.code, cause.text) if cause is not None else ()
        return ": ".join(part for part in parts if part) or "no reason was given"

    def hear(self, event: Event) -> None:
        """Take what an event says of it; a word without a body, or after the last one, changes nothing."""
        if not self.over and (event.body is not None or event.type == "completed"):
            self.event = event
            if self.over:
                self.told.set()


class Sessions:
    """The answers and the offers of one application's calls, as events tell them."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._answers: dict[str, list[MediaAnswer]] = {}
        self._offers: dict[str, Resource] = {}
        self._reasons: dict[str, Cause] = {}
        self._waiting: dict[str, Renegotiation] = {}
        self._unclaimed: dict[str, Event] = {}
        application.observers.append(self.take)
        application.losses.append(self._lose)

    def answers(self, ref: str) -> tuple[MediaAnswer, ...]:
        """Return what was answered to the offers made in that conversation, oldest first."""
        resources = self._application.resources
        keys = (resources.key(invitation.href) or "" for invitation in resources.invitations(ref))
        return tuple(answer for key in keys for answer in self._answers.get(key, ()))

    def offer(self, ref: str) -> Resource | None:
        """Return the other party's undecided offer to change the media of the call in that conversation."""
        return self._offers.get(ref)

    def reason(self, modality: Resource) -> Cause | None:
        """Return the last reason that the server gave for a change of that modality; None where it gave none."""
        return self._reasons.get(self._application.resources.key(modality.href) or "")

    def decided(self, ref: str) -> None:
        """That offer was answered or dismissed."""
        self._offers.pop(ref, None)

    @contextmanager
    def expect(self) -> Generator[Renegotiation]:
        """Listen for what becomes of an offer that is about to be made."""
        renegotiation = Renegotiation(uuid.uuid4().hex)
        self._waiting[renegotiation.id] = renegotiation
        try:
            yield renegotiation
        finally:
            del self._waiting[renegotiation.id]
            self._forget_unclaimed()

    def place(self, renegotiation: Renegotiation, answer: httpx.Response) -> None:
        """The answer to the request tells where the renegotiation is; its events may have come before."""
        href: str | None = answer.headers.get("location")
        if href is None and answer.content:
            with suppress(Unreadable):
                href = resource_in(answer, rel="audioVideoRenegotiation").href
        key = self._application.resources.key(href)
        if key is None:
            return
        renegotiation.key = key
        event = self._unclaimed.pop(key, None)
        if event is not None:
            renegotiation.hear(event)
        self._forget_unclaimed()

    def _seek_places(self) -> bool:
        """Whether an answer may still tell where something is of which an event has told already."""
        return any(waiting.key is None for waiting in self._waiting.values())

    def _forget_unclaimed(self) -> None:
        if not self._seek_places():
            self._unclaimed.clear()

    def _lose(self) -> None:
        """The server has lost the application, and everything in it."""
        for kept in (self._answers, self._offers, self._reasons, self._unclaimed):
            kept.clear()
        for waiting in self._waiting.values():
            waiting.lost = True
            waiting.told.set()

    def take(self, event: Event) -> None:
        """Hear what an event says of media."""
        if event.rel == "audioVideoNegotiation" and event.body is not None:
            self._take_answer(event, event.body)
        elif event.rel == "audioVideoRenegotiation":
            self._take_renegotiation(event)
        elif event.rel in MODALITIES:
            self._take_reason(event)
        elif event.rel == "conversation" and event.type == "deleted":
            self._offers.pop(self._application.resources.key(event.href) or "", None)

    def _take_reason(self, event: Event) -> None:
        key = self._application.resources.key(event.href)
        cause = cause_of(event.reason, about=event.rel)
        if key is None or cause is None:
            # What is read for an event that came without its resource repeats what that said.
            return
        self._reasons.pop(key, None)
        self._reasons[key] = cause
        if len(self._reasons) > _KEPT:
            del self._reasons[next(iter(self._reasons))]

    def _take_answer(self, event: Event, body: Resource) -> None:
        key = self._application.resources.key(body.link("audioVideoInvitation") or event.sender_href)
        for name in ("mediaProvisionalAnswer", "mediaAnswer"):
            sdp = sdp_in(body.data(name))
            if key is None or sdp is None:
                continue
            answer = MediaAnswer(
                sdp=sdp,
                provisional=name == "mediaProvisionalAnswer",
                remote_endpoint=body.text("remoteEndpoint"),
                session_context=body.text("sessionContext"),
                accepted_content_id=body.text("msAcceptedContentId"),
            )
            known = self._answers.setdefault(key, [])
            if answer not in known:
                known.append(answer)
            if len(self._answers) > _KEPT:
                del self._answers[next(iter(self._answers))]

    def _take_renegotiation(self, event: Event) -> None:
        resources, body = self._application.resources, event.body
        key = resources.key(event.href)
        if body is not None and is_incoming(body):
            ref = resources.key(body.link("conversation"))
            if ref is None:
                return
            if event.type == "completed":
                self._offers.pop(ref, None)
            else:
                self._offers[ref] = body
                if len(self._offers) > _KEPT:
                    # The end of its conversation was missed: nobody answers so many at once.
                    del self._offers[next(iter(self._offers))]
            return
        self._forget_offer(key, event)
        said = body.text("operationId") if body is not None else None
        waiting = self._waiting.get(said or "") or self._at(key)
        if waiting is not None:
            waiting.key = key
            waiting.hear(event)
        elif key is not None and said is None and self._seek_places() and _tells_outcome(event):
            self._unclaimed[key] = event

    def _forget_offer(self, key: str | None, event: Event) -> None:
        """An offer of the other party's may end with an event that comes without its resource."""
        if event.type == "completed" and event.body is None:
            resources = self._application.resources
            self._offers = {ref: offer for ref, offer in self._offers.items() if resources.key(offer.href) != key}

    def _at(self, key: str | None) -> Renegotiation | None:
        return next((found for found in self._waiting.values() if key is not None and found.key == key), None)


def _tells_outcome(event: Event) -> bool:
    bare = event.body or Resource(rel=event.rel, href=event.href)
    return event.type == "completed" or any(outcome_of(event, bare))


def session_of(body: Resource) -> MediaSession:
    """Return the media session that the resource describes."""
    word = body.text("state")
    return MediaSession(
        state=word_in(SessionState, word),
        native_state=word,
        remote_endpoint=body.text("remoteEndpoint"),
        session_context=body.text("sessionContext"),
        offered=frozenset(body.links) - {"self"},
    )
