"""The WebSocket of one stream: what SignalWire says on it, and what it understands."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, cast

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from telco_bridge.sandbox.playout import Playout, Tap

from .media import Broken, FarEndVoice, Flow, Hush, Schedule, Source, TrackWord

if TYPE_CHECKING:
    from .space import Space
    from .streams import Stream

__all__ = ["MediaConnection"]

_DIGITS = frozenset("0123456789*#ABCD")
_DIGIT_DURATION = 2000
"""As SignalWire's own sample has it; its unit is not documented."""


class MediaConnection:
    """One stream's connection, from its opening to its end."""

    def __init__(self, space: Space, stream: Stream, socket: ClientConnection) -> None:
        self._space = space
        self._stream = stream
        self._leg = stream.owner.leg
        self._socket = socket
        self._codec = stream.order.codec
        self._rate = self._codec.rate
        self._sent = 0
        self._flowing: asyncio.Task[None] | None = None
        self._speaker = stream.owner.speaker
        self._playout: Playout | None = None
        if stream.order.two_way:
            self._playout = Playout(rate=self._rate, now=self._now, heard=self._heard, speaker=self._speaker)

    async def open(self) -> None:
        """Say what comes. Raises `ConnectionClosed`."""
        order, owner = self._stream.order, self._stream.owner
        await self._socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "0.2.0"}))
        start = {
            "streamSid": self._stream.sid,
            "accountSid": self._space.project,
            f"{owner.resource_word.lower()}Sid": owner.sid,
            "tracks": order.track.words,
            "customParameters": dict(order.parameters),
            "mediaFormat": self._codec.media_format,
        }
        await self._say({"event": "start", "sequenceNumber": self._number(), "start": start})

    async def converse(self) -> None:
        """Let media flow until either side closes. Raises `ConnectionClosed` where that was no ordinary end."""
        taps = self._speaker.taps
        began = self._now()
        tap = Tap(self._speaker, began=began, rate=self._rate)
        if self._playout is not None:
            self._speaker.playouts.append(self._playout)
        if TrackWord.OUTBOUND in self._stream.order.track.words:
            taps.append(tap)
        self._flowing = self._space.spawn(self._flow(began, tap))
        try:
            async for message in self._socket:
                if self._playout is not None:
                    await self._told(self._playout, message)
                elif self._space.switches.strict_one_way_streams:
                    # Twilio documents an error of the protocol; SignalWire documents that nothing is to be sent.
                    await self._socket.close(1002)
        finally:
            self._flowing.cancel()
            if tap in taps:
                taps.remove(tap)
            if self._playout is not None:
                self._playout.clear()
                self._speaker.playouts.remove(self._playout)

    async def stop(self) -> None:
        """Say that the stream is over, and close."""
        if self._flowing is not None:
            self._flowing.cancel()
            await asyncio.wait({self._flowing})
        try:
            await self._say({"event": "stop", "sequenceNumber": self._number()})
        except ConnectionClosed:
            return
        await self._socket.close()

    async def abandon(self) -> None:
        """Close whatever is left, however the stream ended."""
        try:
            await self._socket.close()
        finally:
            # A cancelled close waits for nobody: the loop may end before the far side has answered it.
            self._socket.transport.abort()

    async def pressed(self, digits: str) -> None:
        """Tell of keys that the far end has pressed. Only a two-way stream is told."""
        if self._playout is None:
            return
        try:
            for digit in digits:
                if digit in _DIGITS:
                    await self._say(
                        {
                            "event": "dtmf",
                            "sequenceNumber": self._number(),
                            "streamSid": self._stream.sid,
                            "dtmf": {"digit": digit, "duration": _DIGIT_DURATION},
                        }
                    )
        except ConnectionClosed:
            return

    async def _flow(self, began: float, tap: Tap) -> None:
        schedule = Schedule(self._space, began)
        # The sound of a conference, which has no far end of its own, is not simulated.
        voice = FarEndVoice(self._leg, began, self._rate) if self._leg is not None else Hush()
        sources: dict[TrackWord, Source] = {TrackWord.INBOUND: voice, TrackWord.OUTBOUND: tap}
        flow = Flow(
            space=self._space,
            schedule=schedule,
            socket=self._socket,
            codec=self._codec,
            number_message=self._number,
            operation=self._stream.order.operation,
            sources={word: sources[word] for word in map(TrackWord, self._stream.order.track.words)},
        )
        frame = 0
        try:
            while True:
                await schedule.reach(frame + 1)
                if self._playout is not None:
                    await self._return_marks(self._playout)
                await flow.send(frame)
                frame += 1
        except ConnectionClosed:
            return
        except Broken:
            self._note("provider", "connection broken")
            self._socket.transport.abort()

    async def _told(self, playout: Playout, message: str | bytes) -> None:
        """Do what the application says. What it says wrongly is ignored, and written down."""
        try:
            told = _object(json.loads(message))
            if told.get("streamSid") != self._stream.sid:
                raise ValueError("streamSid is not this stream's")
            match told.get("event"):
                case "media":
                    payload = base64.b64decode(_text(_object(told.get("media")), "payload"), validate=True)
                    playout.add(self._codec.decode(payload))
                case "mark":
                    playout.mark(_text(_object(told.get("mark")), "name"))
                    await self._return_marks(playout)
                case "clear":
                    self._note("bridge", "", "WS clear")
                    playout.clear()
                    await self._return_marks(playout)
                case "dtmf":
                    digit = _text(_object(told.get("dtmf")), "digit")
                    if digit not in _DIGITS:
                        raise ValueError("the digit is none")
                    self._note("bridge", "", "WS dtmf")
                    if self._leg is not None:
                        self._leg.press(digit, by=self._leg.ours)
                case _:
                    raise ValueError("the event is unknown")
        except ValueError as error:
            self._note("bridge", f"ignored: {error}", "WS message")
        except ConnectionClosed:
            # Whoever reads the connection learns of it.
            return

    async def _return_marks(self, playout: Playout) -> None:
        for name in playout.reached():
            await self._say({"event": "mark", "streamSid": self._stream.sid, "mark": {"name": name}})

    def _heard(self, pcm: bytes, at: float) -> None:
        if self._leg is not None:
            self._leg.play(pcm, rate=self._rate, at=at)

    def _now(self) -> float:
        return self._space.exchange.media_now()

    def _number(self) -> str:
        """The next message's sequence number."""
        self._sent += 1
        return str(self._sent)

    async def _say(self, message: dict[str, object]) -> None:
        await self._socket.send(json.dumps(message))

    def _note(self, sent_by: str, answer: str, line: str = "WS stream") -> None:
        owner = self._stream.owner
        fields = {f"{owner.resource_word}Sid": owner.sid, "StreamSid": self._stream.sid}
        self._space.note(sent_by, line, answer, **fields)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("an object is missing")  # noqa: TRY004 - the message is wrong, not a type of the program's
    return cast("dict[str, object]", value)


def _text(of: dict[str, object], name: str) -> str:
    value = of.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is missing")  # noqa: TRY004 - as above
    return value
