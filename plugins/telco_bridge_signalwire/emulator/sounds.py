"""Sounds: fetched from the application, and played to the far end of a call."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from telco_bridge.audio.wav import UnreadableWav, WavReader
from telco_bridge.sandbox.playout import Playout

from .calls import Call
from .media import Schedule
from .space import Space
from .webhooks import Undelivered, without_query

__all__ = ["NoSound", "Sound", "fetch_sound", "play_sound"]

_LARGEST = 16 * 1024 * 1024
"""SignalWire documents no limit; this one only protects the machine."""


@dataclass(frozen=True, slots=True)
class Sound:
    """PCM16, little-endian, mono, at `rate` hertz."""

    pcm: bytes = field(repr=False)
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / (2 * self.rate)


class NoSound(Exception):
    """There is nothing that could be played. `code` is what SignalWire's dashboard would log."""

    def __init__(self, code: int, words: str) -> None:
        self.code = code
        super().__init__(words)


async def fetch_sound(space: Space, call: Call, url: str) -> Sound:
    """Fetch a WAV file. Raises `NoSound`, for other kinds of audio too, which are not decoded here."""
    noted = {"CallSid": call.sid, "Url": without_query(url)}
    try:
        response = await space.courier.fetch(url, limit=_LARGEST)
    except Undelivered as error:
        space.note("provider", "GET sound", str(error), **noted)
        raise NoSound(11200, f"the sound cannot be fetched: {error}") from error
    space.note("provider", "GET sound", str(response.status_code), **noted)
    if not response.is_success:
        raise NoSound(11200, f"the sound cannot be fetched: the application answered {response.status_code}")
    return await asyncio.to_thread(_decoded, response.content)


async def play_sound(space: Space, call: Call, sound: Sound) -> None:
    """Play it to the far end, and return at its end. Where that is cancelled, the rest is not heard.

    Audio keeps to real time however fast the network's runs: nobody could hear it otherwise.
    """
    leg = call.leg
    if leg is None or not sound.pcm:
        return

    def heard(pcm: bytes, at: float) -> None:
        leg.play(pcm, rate=sound.rate, at=at)

    speaker, now = call.speaker, space.exchange.media_now
    playout = Playout(rate=sound.rate, now=now, heard=heard, speaker=speaker)
    speaker.playouts.append(playout)
    schedule = Schedule(space, now())
    try:
        playout.add(sound.pcm)
        playout.mark("end")
        frame = 0
        while not playout.reached():
            frame += 1
            await schedule.reach(frame)
    finally:
        playout.clear()
        speaker.playouts.remove(playout)


def _decoded(content: bytes) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        path.write_bytes(content)
        try:
            with WavReader(path) as reader:
                return Sound(b"".join(reader), reader.format.rate)
        except UnreadableWav as error:
            raise NoSound(13420, "the sound is no WAV file that can be read") from error
