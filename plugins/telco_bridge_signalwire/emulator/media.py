"""Audio on its way to the application: codecs, and 20 ms frames on an absolute schedule."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from websockets.asyncio.client import ClientConnection

from telco_bridge.audio.g711 import decode_mulaw, encode_mulaw
from telco_bridge.sandbox.emulator import Fault

if TYPE_CHECKING:
    from telco_bridge.sandbox.exchange import Leg

    from .space import Space

__all__ = ["FRAME_SECONDS", "Broken", "Codec", "FarEndVoice", "Flow", "Hush", "Schedule", "Source", "TrackWord"]

FRAME_SECONDS = 0.02
"""SignalWire documents no length; 20 ms is what telephony does."""

_FRAME_MILLISECONDS = 20
_LOOK_AGAIN = 0.005
_INSTANT = 1e-6
"""A clock that is stepped by hand may stand still just short of an instant, by a rounding error."""


class Codec(StrEnum):
    """The codecs of a stream, as a document spells them."""

    PCMU = "PCMU@8000h"
    L16_16K = "L16@16000h"
    L16_24K = "L16@24000h"

    @property
    def rate(self) -> int:
        """Samples per second."""
        return int(self.value.partition("@")[2].removesuffix("h"))

    @property
    def media_format(self) -> dict[str, object]:
        """The codec as the `start` message tells it."""
        encoding = "audio/x-mulaw" if self is Codec.PCMU else "audio/x-L16"
        return {"encoding": encoding, "sampleRate": self.rate, "channels": 1}

    def decode(self, payload: bytes) -> bytes:
        """Return what the application sent as PCM16. Raises `ValueError` where that cannot be."""
        if self is Codec.PCMU:
            return decode_mulaw(payload)
        # SignalWire's own samples hand L16 to interfaces that want it little-endian.
        if len(payload) % 2:
            raise ValueError(f"{len(payload)} bytes are no whole number of 16-bit samples")
        return payload


class TrackWord(StrEnum):
    """The tracks as media messages name them."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Broken(Exception):
    """The media connection is to break without a word."""


class Source(Protocol):
    """Where the audio of a track comes from."""

    def pcm(self, start: int, count: int) -> bytes:
        """Return `count` samples of PCM16 from sample `start` of the stream on. Asked for each frame once, in order."""
        ...


class FarEndVoice:
    """What the far end says, from an instant on."""

    def __init__(self, leg: Leg, since: float, rate: int) -> None:
        self._leg = leg
        self._since = since
        self._rate = rate

    def pcm(self, start: int, count: int) -> bytes:
        return self._leg.speech(self._since, start, count, rate=self._rate)


class Hush:
    """Nobody says anything."""

    def pcm(self, start: int, count: int) -> bytes:
        return bytes(2 * count)


class Schedule:
    """Instants one frame apart, counted from an absolute beginning, so that no delay adds up.

    They are instants of the machine's time however fast the network's runs, or of the clock that is stepped by hand.
    """

    def __init__(self, space: Space, began: float) -> None:
        self._space = space
        self.began = began

    async def reach(self, number: int) -> None:
        """Return when that many frames' time has passed since the beginning."""
        await self._until(self.began + number * FRAME_SECONDS)

    async def wait(self, seconds: float) -> None:
        """Return when so much of that time has passed."""
        await self._until(self._space.exchange.media_now() + seconds)

    async def _until(self, instant: float) -> None:
        exchange = self._space.exchange
        left = instant - exchange.media_now()
        # The clock that is stepped by hand belongs to another thread, where it may move at any moment: a timer could be
        # set too late for its step. So it is asked again and again.
        while exchange.stepped and left > _INSTANT:
            await asyncio.sleep(_LOOK_AGAIN)
            left = instant - exchange.media_now()
        await asyncio.sleep(max(0.0, left))


class _Track:
    """One track of a stream: its frames' text but for what changes."""

    __slots__ = ("head", "name", "operation", "source")

    def __init__(self, name: TrackWord, source: Source, operation: str) -> None:
        self.name = name
        self.source = source
        self.operation = f"{operation} media {name}"
        self.head = f'","media":{{"track":"{name}","chunk":"'


@dataclass(slots=True)
class _Held:
    """A frame that lets the next one of its track pass."""

    track: _Track
    text: str


class Flow:
    """The media messages of one stream, until it is cancelled or its connection ends."""

    def __init__(
        self,
        *,
        space: Space,
        schedule: Schedule,
        socket: ClientConnection,
        codec: Codec,
        number_message: Callable[[], str],
        operation: str,
        sources: Mapping[TrackWord, Source],
    ) -> None:
        self._space = space
        self._schedule = schedule
        self._socket = socket
        self._codec = codec
        self._number_message = number_message
        self._samples = int(codec.rate * FRAME_SECONDS)
        self._tracks = [_Track(name, source, operation) for name, source in sources.items()]
        self._held: _Held | None = None

    async def send(self, frame: int) -> None:
        """Send the frame of that number, from 0, on every track.

        Raises `Broken` where the connection is to break, and what a broken or closed connection raises.
        """
        start = frame * self._samples
        tail = f'{frame + 1}","timestamp":"{frame * _FRAME_MILLISECONDS}","payload":"'
        faults = self._space.faults
        for track in self._tracks:
            payload = _payload(track.source.pcm(start, self._samples), self._codec)
            text = f'{{"event":"media","sequenceNumber":"{self._number_message()}{track.head}{tail}{payload}"}}}}'
            if faults.ordered:
                await self._send_with_trouble(track, text)
            else:
                await self._send(track, text)

    async def _send(self, track: _Track, text: str) -> None:
        await self._socket.send(text)
        held = self._held
        if held is not None and held.track is track:
            self._held = None
            await self._socket.send(held.text)

    async def _send_with_trouble(self, track: _Track, text: str) -> None:
        take = self._space.faults.take
        if take(Fault.DROP_STREAM, track.operation) is not None:
            raise Broken
        delay = take(Fault.DELAY_MEDIA, track.operation)
        if delay is not None:
            seconds = delay.get("seconds", 0.2)
            await self._schedule.wait(float(seconds) if isinstance(seconds, int | float) else 0.2)
        if take(Fault.LOSE_MEDIA, track.operation) is not None:
            return
        if self._held is None and take(Fault.REORDER_MEDIA, track.operation) is not None:
            self._held = _Held(track, text)
            return
        await self._send(track, text)


@lru_cache(maxsize=4096)
def _payload(pcm: bytes, codec: Codec) -> str:
    """The frame as text. Silence and tones are the same few frames again and again."""
    return base64.b64encode(encode_mulaw(pcm) if codec is Codec.PCMU else pcm).decode()
