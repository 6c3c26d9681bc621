"""The calls' engine: it dials, hears the network, runs documents, and ends calls."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Protocol

from telco_bridge.sandbox.exchange import Clearing, Leg, LegEvent, Side
from telco_bridge.sandbox.numbers import normalize

from .callbacks import Lane
from .calls import Call, CallStatus, Direction
from .connecting import StreamVerbs
from .execution import Ending, Execution, Verb
from .flow import FLOW
from .gathering import gather
from .keypad import press_digits
from .orders import CallOrder
from .progress import tell_detection, tell_progress
from .prompts import PROMPTS
from .space import Space
from .streams import Streams
from .webhooks import Script, Subscription

__all__ = ["Follower", "Switchboard"]

_DIAL_DELAY = 0.05
"""Network seconds that a call stays queued when nothing is before it."""

_BUSY = frozenset({486, 600})
_NO_ANSWER = frozenset({408, 480, 487, 603})
"""603 is the callee's refusal. SignalWire has no status for it; captures show none. It ended without an answer."""


class Follower(Protocol):
    """Who is told of calls before their callbacks are."""

    def answered(self, call: Call, /) -> None:
        """The call has been answered."""
        ...

    def ended(self, call: Call, /) -> None:
        """The call is over, answered or not."""
        ...


class Switchboard:
    """All calls of the project, by SID. Used from the emulator's loop only."""

    def __init__(self, space: Space, streams: Streams) -> None:
        self.calls: dict[str, Call] = {}
        self._space = space
        self._streams = streams
        self._numbers = itertools.count(1)
        self._next_dial = 0.0
        self.verbs: dict[str, Verb] = {**FLOW, **PROMPTS, "Gather": gather, **StreamVerbs(space, streams).verbs}
        """What documents can say. More verbs may be added before the first call."""
        self.followers: list[Follower] = []

    def create(self, order: CallOrder) -> Call:
        """Queue an outbound call."""
        number = self._space.route(order.from_)
        call = self._add(Direction.OUTBOUND, order.to, order.from_)
        call.script = order.script
        call.digits = order.digits
        call.detection = order.detection
        call.subscription = order.subscription
        call.phone_number_sid = None if number is None else number.sid
        self._dial_later(call, shown=order.shown, timeout=order.timeout)
        return call

    def place(self, parent: Call, *, to: str, shown: str, timeout: float, subscription: Subscription) -> Call:
        """Queue a call that the document of another one dials."""
        call = self._add(Direction.OUTBOUND, to, shown)
        call.parent = parent.sid
        call.subscription = subscription
        self._dial_later(call, shown=shown, timeout=timeout)
        return call

    def arrive(self, leg: Leg, sid: str) -> None:
        """A call reaches one of the project's numbers; its SID was given when its watcher was set."""
        number = self._space.route(leg.callee)
        call = self._add(Direction.INBOUND, leg.callee, leg.caller, sid=sid)
        call.leg = leg
        call.started = self._space.now()
        call.enter(CallStatus.RINGING, call.started)
        leg.ring()
        if number is None or number.script is None:
            self._end(call, CallStatus.FAILED, Clearing(404, "Not Found", call.ours))
            return
        call.phone_number_sid = number.sid
        call.subscription = number.subscription
        call.script = number.script
        self._execute(call, number.script)

    def pressed(self, call_sid: str, digits: str) -> None:
        """The far end of a call has pressed keys."""
        call = self.calls.get(call_sid)
        if call is not None and not call.over:
            call.keypad.press(digits)
            self._streams.pressed(call, digits)

    def heard(self, call_sid: str, event: LegEvent, clearing: Clearing | None) -> None:
        """The network tells of a call."""
        call = self.calls.get(call_sid)
        if call is None or call.over:
            return
        match event:
            case LegEvent.RINGING if call.status is CallStatus.QUEUED:
                call.enter(CallStatus.RINGING, self._space.now())
                tell_progress(call, self._space, "ringing")
            case LegEvent.ANSWERED if call.direction is Direction.OUTBOUND:
                self._answered(call)
                if call.script is not None:
                    self._execute(call, call.script, digits=call.digits)
            case LegEvent.CLEARED if clearing is not None:
                self._end(call, _status(clearing, answered=call.answered is not None), clearing)
            case _:
                return

    def cancel(self, call: Call) -> None:
        """End a call that is not answered."""
        self._end(call, CallStatus.CANCELED, Clearing(487, "Request Terminated", call.ours))

    def complete(self, call: Call) -> None:
        """End a call, answered or not."""
        if call.status is CallStatus.IN_PROGRESS:
            self._end(call, CallStatus.COMPLETED, Clearing(200, "OK", call.ours))
        else:
            status = CallStatus(self._space.switches.completed_while_ringing)
            self._end(call, status, Clearing(487, "Request Terminated", call.ours))

    def release(self, call: Call) -> None:
        """Hang up on a call that was dialled for another one; nothing happens to one that is over."""
        if call.answered is not None and not call.over:
            self.complete(call)
        elif not call.over:
            self.cancel(call)

    def redirect(self, call: Call, script: Script) -> None:
        """Execute another document at once, abandoning the one that runs."""
        if call.running is not None:
            call.running.cancel()
        self._execute(call, script)

    async def perform(self, call: Call, script: Script) -> Ending:
        """Execute documents on a call, without any consequence of how they end."""
        return await Execution(self._space, call, self.verbs, answer=lambda: self._pick_up(call)).run(script)

    def watcher(self, sid: str) -> Callable[[Leg, LegEvent], None]:
        """Return what the network tells of that call's events, from its own thread."""

        def watch(leg: Leg, event: LegEvent) -> None:
            if event is LegEvent.DIGITS:
                by, digits = leg.digits[-1]
                if by is leg.far:
                    self._space.post(lambda: self.pressed(sid, digits))
                return
            clearing = leg.clearing
            self._space.post(lambda: self.heard(sid, event, clearing))

        return watch

    def _add(self, direction: Direction, to: str, from_: str, *, sid: str | None = None) -> Call:
        now = self._space.now()
        call = Call(
            number=next(self._numbers),
            sid=sid or str(uuid.uuid4()),
            direction=direction,
            to=to,
            from_=from_,
            lane=Lane(self._space),
            created=now,
            updated=now,
        )
        self.calls[call.sid] = call
        return call

    def _dial_later(self, call: Call, *, shown: str, timeout: float) -> None:
        """Queue behind the calls before it: too many calls per second wait, they are not refused."""
        now = self._space.now()
        at = max(now + _DIAL_DELAY, self._next_dial)
        rate = self._space.switches.calls_per_second
        self._next_dial = at + 1 / rate if rate else 0.0
        call.timers.append(self._space.after(at - now, lambda: self._dial(call, shown, timeout)))

    def _dial(self, call: Call, shown: str, timeout: float) -> None:
        call.started = self._space.now()
        tell_progress(call, self._space, "initiated", "initiated")
        call.leg = self._space.exchange.call(caller=shown, callee=call.to, watcher=self.watcher(call.sid))
        call.timers.append(self._space.after(timeout, lambda: self._give_up(call)))

    def _give_up(self, call: Call) -> None:
        """The callee was rung for long enough: the network answers the cancelled attempt with 487."""
        if call.answered is None and call.leg is not None:
            call.leg.hang_up(by=Side.CALLER)

    def _answered(self, call: Call) -> None:
        call.answered = self._space.now()
        call.enter(CallStatus.IN_PROGRESS, call.answered)
        for follower in self.followers:
            follower.answered(call)
        tell_progress(call, self._space, "answered")

    def _pick_up(self, call: Call) -> None:
        """The document of an inbound call answers it."""
        if call.direction is Direction.INBOUND and call.answered is None and not call.over and call.leg is not None:
            call.leg.answer()
            self._answered(call)

    def _execute(self, call: Call, script: Script, *, digits: str = "") -> None:
        call.running = self._space.spawn(self._run(call, script, digits))
        call.touch()

    async def _run(self, call: Call, script: Script, digits: str) -> None:
        if digits and call.leg is not None:
            await press_digits(self._space, call.leg, digits)
        await self._detect(call)
        ending = await self.perform(call, script)
        call.running = None
        if call.over:
            return
        match ending:
            case Ending.REJECTED_BUSY:
                self._end(call, CallStatus.BUSY, Clearing(486, "Busy Here", call.ours))
            case Ending.REJECTED:
                self._end(call, CallStatus.NO_ANSWER, Clearing(603, "Decline", call.ours))
            case Ending.NO_DOCUMENT if call.answered is None:
                self._end(call, CallStatus.FAILED, Clearing(500, "Server Internal Error", call.ours))
            case Ending.NO_DOCUMENT | Ending.RAN_OUT | Ending.HANGUP:
                self.complete(call)

    async def _detect(self, call: Call) -> None:
        """Find out who has answered, where that is wanted: the document waits for it, unless it is not to."""
        detection, call.detection = call.detection, None
        if detection is None:
            return
        machines = map(normalize, self._space.switches.machines)
        word, seconds = detection.verdict(machine=normalize(call.to) in machines)
        if not detection.background:
            await self._space.pause(seconds)
            call.answered_by = word
            return
        callback = detection.callback

        def found() -> None:
            call.answered_by = word
            if callback is not None:
                tell_detection(call, self._space, callback, seconds)

        call.timers.append(self._space.after(seconds, found))

    def _end(self, call: Call, status: CallStatus, clearing: Clearing) -> None:
        """Make the call terminal, whatever the network has still to say about it."""
        call.clearing = clearing
        call.ended = self._space.now()
        call.enter(status, call.ended)
        for timer in call.timers:
            timer.cancel()
        if call.running is not None:
            call.running.cancel()
            call.running = None
        self._streams.stop_all(call)
        for follower in self.followers:
            follower.ended(call)
        tell_progress(call, self._space, "completed")
        leg = call.leg
        if leg is not None:
            if call.answered is None and clearing.by is call.ours and call.direction is Direction.INBOUND:
                leg.refuse(clearing.sip, clearing.phrase, by=clearing.by)
            leg.hang_up(by=call.ours)


def _status(clearing: Clearing, *, answered: bool) -> CallStatus:
    if answered:
        return CallStatus.COMPLETED
    if clearing.sip in _BUSY:
        return CallStatus.BUSY
    if clearing.sip in _NO_ANSWER:
        return CallStatus.NO_ANSWER
    return CallStatus.FAILED
