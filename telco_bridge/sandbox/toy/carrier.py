"""The toy carrier as a whole: built in front of an exchange, served by a loopback server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping

from ..clock import Timer
from ..emulator import ASGIApp, Emulator, Fault, WireRecord
from ..exchange import Exchange
from .calls import Calls
from .events import EventLog

__all__ = ["ToyCarrier"]

_RECORDED = ("id", "to", "from", "token", "ring_timeout", "status")


class ToyCarrier(Emulator):
    """A carrier that exists nowhere else, with a JSON API small enough to be learnt in a minute.

    Every request carries `Authorization: Bearer KEY`; without it the answer is 401. An error is `{"error": "words"}`.

    | request | answer |
    |---|---|
    | `POST /calls` `{to, from?, token?, ring_timeout?}` | 201 the call; 422 for an address that is neither `+E.164` nor `sip:user@host`, and for an unknown field |
    | `GET /calls` | `{"calls": […]}`: all calls that are not over |
    | `GET /calls/{id}` | the call, over or not; 404 |
    | `DELETE /calls/{id}` | hangs up, or cancels: the call; 404; 409 when it is over |
    | `POST /calls/{id}/audio`, `DELETE /calls/{id}/audio` | starts or stops the audio, the call goes on: the call; 404; 409 when it is not up |
    | `POST /calls/{id}/answer`, `POST /calls/{id}/reject` | of an inbound call that rings: the call; 404; 409 |
    | `GET /events?after=N&wait=S` | `{"events": [{"n": …, "call": …}], "last": N}`: what happened after number N, at once where something has, else as soon as it does, or after S seconds (20 by default) nothing. Without `after`: nothing, at once, and where the events are now. Numbers are counted from 1, without holes; they begin again with the carrier |

    A call is `{id, token, direction, from, to, status, answered, audio, ended}`: direction `out` or `in`; status
    `dialing`, `ringing`, `up` or `over`; `answered` whether it ever was; `audio` whether it flows; `ended` null, or
    `{"sip": 486, "phrase": "Busy Here", "by": "near" | "far" | "network"}`. The caller chooses the token.

    In the record of the wire, and for faults, requests are called as above (`DELETE /calls/{id}`) and events `event
    dialing`, `event ringing`, `event up`, `event audio`, `event over`. An event that a fault loses leaves a hole in
    the numbers. Seconds are those of the network's time; no request is held for more than so many of the world's.

    `provider` is the name of the plugin that `profile()` is for. The carrier owns `number`: calls to it arrive here.
    """  # noqa: E501 - a table's row is one line

    known_faults = frozenset(
        {
            Fault.LOSE_EVENT,
            Fault.DOUBLE_EVENT,
            Fault.REORDER_EVENTS,
            Fault.EVENT_BEFORE_ANSWER,
            Fault.UNKNOWN_STATE,
            Fault.SERVER_ERROR,
            Fault.RATE_LIMIT,
            Fault.DROP_REQUEST,
            Fault.DROP_ANSWER,
            Fault.HTML_ANSWER,
            Fault.MALFORMED_JSON,
        }
    )

    def __init__(self, exchange: Exchange, *, provider: str = "acme", number: str = "+15550000002") -> None:
        # Only those who build a carrier wait for the web framework.
        from .web import build

        super().__init__(exchange)
        self.provider = provider
        self.number = number
        self.key = f"toy-{secrets.token_hex(16)}"
        self.closing = asyncio.Event()
        """Set when the server is about to stop: whoever polls is let go."""
        self.events = EventLog(self.faults, note=self._note_event, after=self.after)
        self.calls = Calls(exchange, number, self._tell)
        self._app = build(self)
        exchange.register(number, self.calls.arrive)

    @property
    def app(self) -> ASGIApp:
        """The ASGI application that speaks the API."""
        return self._app

    def profile(self) -> dict[str, object]:
        """The settings of a plugin: `provider`, `base_url` and `key`. Valid once the carrier is served."""
        return {"provider": self.provider, "base_url": self.url, "key": self.key}

    async def stopped(self) -> None:
        """Let go of whoever polls; the network's calls are left as they are."""
        self.closing.set()
        await super().stopped()

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run the action in the emulator's loop after so many network seconds."""
        return self.exchange.after(seconds, lambda: self.post(action))

    def note(self, sent_by: str, line: str, answer: str, fields: Mapping[str, object] | None = None) -> None:
        """Write a line into the record of the wire."""
        told = {name: str(fields[name]) for name in _RECORDED if fields and fields.get(name) is not None}
        self.wire.add(WireRecord(self.exchange.now(), sent_by, line, answer, told))

    def _note_event(self, line: str, answer: str, call: Mapping[str, object]) -> None:
        self.note("provider", line, answer, call)

    def _tell(self, name: str, call: dict[str, object]) -> None:
        self.post(lambda: self.events.tell(name, call))
