"""The toy carrier's calls: each is a leg of the network, with a name and a token."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ...media import Modality
from ..exchange import AUDIO, Exchange, Leg, LegEvent, LegState, Side

__all__ = ["Calls", "Refusal", "ToyCall"]

_STATUS = {
    LegState.TRYING: "dialing",
    LegState.RINGING: "ringing",
    LegState.UP: "up",
    LegState.DOWN: "over",
}
_TOLD = {
    LegEvent.RINGING: "ringing",
    LegEvent.ANSWERED: "up",
    LegEvent.MEDIA: "audio",
    LegEvent.CLEARED: "over",
}
"""What the network's events are called. It tells of nothing else: there is no hold, and digits are not heard."""

_ADDRESS = re.compile(r"\+[1-9][0-9]{1,14}|sip:[^\s@]+@[^\s@]+", re.ASCII)


class Refusal(Exception):
    """What the carrier will not do: an HTTP status, and its words."""

    def __init__(self, status: int, words: str, *, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToyCall:
    """One call. What it is like is what its leg is like now."""

    id: str
    leg: Leg
    token: str | None = None

    @property
    def inbound(self) -> bool:
        """Whether somebody calls the carrier's number."""
        return self.leg.ours is Side.CALLEE

    def shown(self) -> dict[str, object]:
        """The call as the API shows it."""
        leg = self.leg
        ended = None
        if leg.clearing is not None:
            side = {leg.ours: "near", leg.far: "far"}.get(leg.clearing.by, "network")
            ended = {"sip": leg.clearing.sip, "phrase": leg.clearing.phrase, "by": side}
        return {
            "id": self.id,
            "token": self.token,
            "direction": "in" if self.inbound else "out",
            "from": leg.caller,
            "to": leg.callee,
            "status": _STATUS[leg.state],
            "answered": leg.answered,
            "audio": leg.state is LegState.UP and Modality.AUDIO in leg.media,
            "ended": ended,
        }


class Calls:
    """Every call of the carrier, over or not. Safe from any thread.

    `tell` is given the name of an event and the call as it is at that moment, under the network's lock: it must return
    at once.
    """

    def __init__(self, exchange: Exchange, number: str, tell: Callable[[str, dict[str, object]], None]) -> None:
        self._exchange = exchange
        self._number = number
        self._tell = tell
        self._calls: dict[str, ToyCall] = {}
        self._by_leg: dict[str, ToyCall] = {}

    def live(self) -> list[dict[str, object]]:
        """Show the calls that are not over, oldest first."""
        with self._exchange.lock:
            return [call.shown() for call in self._calls.values() if call.leg.state is not LegState.DOWN]

    def show(self, call_id: str) -> dict[str, object]:
        """Show one call. Raises `Refusal`."""
        with self._exchange.lock:
            return self._find(call_id).shown()

    def dial(self, *, to: str, from_: str | None, token: str | None, ring_timeout: float | None) -> dict[str, object]:
        """Call somebody. Raises `Refusal`."""
        caller = from_ if from_ is not None else self._number
        if any(_ADDRESS.fullmatch(address) is None for address in (to, caller)):
            raise Refusal(422, "no such number form")
        with self._exchange.lock:
            leg = self._exchange.call(caller=caller, callee=to, watcher=self._watch)
            call = self._add(leg, token)
            if ring_timeout is not None:
                leg.later(ring_timeout, lambda: leg.refuse(408, "Request Timeout", by=Side.NETWORK))
            self._tell("dialing", call.shown())
            return call.shown()

    def hang_up(self, call_id: str) -> dict[str, object]:
        """End a call, or cancel it. Raises `Refusal`."""
        return self._do(call_id, lambda leg: leg.hang_up(by=leg.ours))

    def answer(self, call_id: str) -> dict[str, object]:
        """Take an inbound call. Raises `Refusal`."""
        return self._do(call_id, lambda leg: leg.answer(AUDIO), waiting=True)

    def reject(self, call_id: str) -> dict[str, object]:
        """Refuse an inbound call. Raises `Refusal`."""
        return self._do(call_id, lambda leg: leg.refuse(603, "Decline", by=leg.ours), waiting=True)

    def set_audio(self, call_id: str, *, flows: bool) -> dict[str, object]:
        """Start or stop the audio of a call that is up; the call goes on. Raises `Refusal`."""
        return self._do(call_id, lambda leg: leg.set_media(leg.media | AUDIO if flows else leg.media - AUDIO), up=True)

    def arrive(self, leg: Leg) -> None:
        """Somebody calls the carrier's number. Runs in the network's thread."""
        leg.watcher = self._watch
        self._add(leg, None)
        leg.ring()

    def _do(
        self, call_id: str, action: Callable[[Leg], None], *, waiting: bool = False, up: bool = False
    ) -> dict[str, object]:
        with self._exchange.lock:
            call = self._find(call_id)
            leg = call.leg
            if leg.state is LegState.DOWN:
                raise Refusal(409, "call is over")
            if waiting and not (call.inbound and leg.state is LegState.RINGING):
                raise Refusal(409, "call does not wait for an answer")
            if up and leg.state is not LegState.UP:
                raise Refusal(409, "call is not up")
            action(leg)
            return call.shown()

    def _find(self, call_id: str) -> ToyCall:
        call = self._calls.get(call_id)
        if call is None:
            raise Refusal(404, "no such call")
        return call

    def _add(self, leg: Leg, token: str | None) -> ToyCall:
        call = ToyCall(id=self._new_id(), leg=leg, token=token)
        self._calls[call.id] = call
        self._by_leg[leg.id] = call
        return call

    def _new_id(self) -> str:
        """Return a name that does not lead to that of another call."""
        while (new := f"call-{self._exchange.random.getrandbits(32):08x}") in self._calls:
            pass
        return new

    def _watch(self, leg: Leg, event: LegEvent) -> None:
        name = _TOLD.get(event)
        if name is not None:
            self._tell(name, self._by_leg[leg.id].shown())
