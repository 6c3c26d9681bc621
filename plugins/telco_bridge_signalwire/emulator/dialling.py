"""The verb Dial: other parties are called, and the first to answer is connected; or a conference is joined."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from xml.etree.ElementTree import Element

from .calls import Call, CallStatus
from .documents import flag, number, words
from .execution import Ending, Execution, Redirected
from .keypad import press_digits
from .races import first
from .space import Space
from .switchboard import Switchboard
from .webhooks import Script, Subscription, Webhook

__all__ = ["Dialling", "JoinConference", "RecordDial", "until_parted"]

_MOST = 10
"""How many parties one Dial may call."""
_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_TIME_LIMIT = 14400.0
_TIMEOUT, _SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = 30.0, 5.0, 600.0

RecordDial = Callable[[Execution, Element, Call], AbstractContextManager[Mapping[str, str]]]
"""What records a Dial while its context is entered, where that is wanted; afterwards it holds what `action` is told."""

JoinConference = Callable[[Execution, Element, Element], Coroutine[object, object, Mapping[str, str]]]
"""What takes a call into the conference of a Dial and returns, when it has left, what `action` is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A party to be called."""

    address: str
    subscription: Subscription
    whisper: Webhook | None
    """A document that the party hears before it is connected."""
    digits: str


async def until_parted(execution: Execution, dial: Element, parted: Coroutine[object, object, object]) -> None:
    """Return when what was connected is parted, when `timeLimit` has passed, or when the far end wants it to end."""
    with execution.call.keypad.listen() as keys:

        async def starred() -> None:
            key = await keys.get()
            while key != "*" or not flag(dial.get("hangupOnStar")):
                key = await keys.get()

        limit = number(dial.get("timeLimit"), _TIME_LIMIT) or _TIME_LIMIT
        await first(parted, starred(), execution.space.pause(limit))


class Dialling:
    """Dial as one project's documents say it."""

    def __init__(self, space: Space, board: Switchboard, join: JoinConference, record: RecordDial) -> None:
        self._space = space
        self._board = board
        self._join = join
        self._record = record

    async def dial(self, execution: Execution, verb: Element) -> None:
        """Connect the call with somebody, and let the document of `action` go on once that is over.

        Without an `action` the next verb goes on, whatever came of it.
        """
        conference = verb.find("Conference")
        if conference is not None:
            fields = await self._join(execution, verb, conference)
        else:
            fields = await self._connect(execution, verb)
        target = execution.webhook(verb)
        if target is not None:
            raise Redirected(target, fields)

    async def _connect(self, execution: Execution, verb: Element) -> Mapping[str, str]:
        targets = _targets(execution, verb)
        shown = verb.get("callerId") or execution.call.from_
        timeout = min(max(number(verb.get("timeout"), _TIMEOUT), _SHORTEST_TIMEOUT), _LONGEST_TIMEOUT)
        children = [
            self._board.place(
                execution.call, to=target.address, shown=shown, timeout=timeout, subscription=target.subscription
            )
            for target in targets
        ]
        try:
            child = await _first_answered(children)
            if child is None:
                return _outcome(max(children, key=lambda call: call.ended or 0.0, default=None))
            for other in children:
                if other is not child:
                    self._board.release(other)
            recorded = await self._talk(execution, verb, child, targets[children.index(child)])
            return {**_outcome(child), **recorded}
        finally:
            # Where the document is abandoned or its call ends, so do the calls that it has made; but one that was given
            # a document of its own goes its own way.
            for child in children:
                if child.running is None:
                    self._board.release(child)

    async def _talk(self, execution: Execution, verb: Element, child: Call, target: _Target) -> Mapping[str, str]:
        """Connect the call with the party that has answered, until they part; return what is told of a recording."""
        recorded: Mapping[str, str] = {}
        await self._greet(child, target)
        if not _left(child):
            execution.answer()
            with self._record(execution, verb, child) as recorded:
                await until_parted(execution, verb, child.until(lambda: _left(child)))
        if child.running is None:
            self._board.release(child)
        return recorded

    async def _greet(self, child: Call, target: _Target) -> None:
        """Do what comes between the answer and the connection."""

        async def greet() -> None:
            if target.digits and child.leg is not None:
                await press_digits(self._space, child.leg, target.digits)
            if target.whisper is None:
                return
            ending = await self._board.perform(child, Script(document=target.whisper))
            if ending is Ending.HANGUP:
                self._board.release(child)

        await first(greet(), child.until(lambda: _left(child)))


def _left(child: Call) -> bool:
    """Whether the call has ended, or was given a document of its own, which takes it out of the connection."""
    return child.over or child.running is not None


async def _first_answered(children: Sequence[Call]) -> Call | None:
    """Return the first that is answered; None once all of them have failed."""
    waiting = list(children)
    while waiting:
        place = await first(*(call.until(partial(_settled, call)) for call in waiting))
        call = waiting.pop(place)
        if call.answered is not None:
            return call
    return None


def _settled(call: Call) -> bool:
    return call.over or call.answered is not None


def _targets(execution: Execution, verb: Element) -> list[_Target]:
    targets: list[_Target] = []
    if words(verb):
        targets.append(_Target(address=words(verb), subscription=Subscription(), whisper=None, digits=""))
    for noun in verb:
        if noun.tag not in ("Number", "Sip") or not words(noun) or len(targets) == _MOST:
            execution.note(13750, f"Dial {noun.tag} skipped")
            continue
        targets.append(
            _Target(
                # What follows a question mark are headers of the SIP request.
                address=words(noun).partition("?")[0],
                subscription=_subscription(execution, noun),
                whisper=execution.webhook(noun, "url"),
                digits=noun.get("sendDigits", "") if noun.tag == "Number" else "",
            )
        )
    return targets


def _subscription(execution: Execution, noun: Element) -> Subscription:
    callback = execution.webhook(noun, "statusCallback", "statusCallbackMethod")
    events = frozenset(noun.get("statusCallbackEvent", "").split()) & _EVENTS
    return Subscription(webhook=callback, events=events or frozenset({"completed"}))


def _outcome(child: Call | None) -> dict[str, str]:
    """What `action` is told of the party that was called."""
    if child is None:
        return {"DialCallStatus": CallStatus.FAILED.value}
    fields = {
        # A party that was taken out of the connection by a document of its own is still in its call.
        "DialCallStatus": child.status.value if child.over else "answered",
        "DialCallSid": child.sid,
        "DialCallDuration": str(child.duration),
    }
    if child.to.startswith("sip:"):
        fields["DialSipCallId"] = str(uuid.uuid5(uuid.NAMESPACE_OID, child.sid))
        fields["DialSipResponseCode"] = str(
            200 if child.answered is not None or child.clearing is None else child.clearing.sip
        )
    return fields
