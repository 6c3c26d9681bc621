"""The carrier's media WebSocket: its messages as facts, and orders as its messages."""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from telco_bridge.provider import (
    AudioFormat,
    Clear,
    Encoding,
    MediaFact,
    MediaHeard,
    MediaOpened,
    MediaOrder,
    MediaStopped,
    MediaWire,
    PlayAudio,
    PlayMark,
    PressDigit,
    ReachedMark,
    RemoteDigit,
    Track,
    Unintelligible,
)

__all__ = ["LamlMedia"]

_loads: Callable[[str | bytes], Any] = json.loads
with suppress(ImportError):
    # Installed with the extra `audio`: a quarter of the time of every frame.
    import orjson

    _loads = orjson.loads

_ENCODINGS = {
    "audio/x-mulaw": Encoding.MULAW,
    "audio/x-alaw": Encoding.ALAW,
    # The carrier names no byte order; its published examples hand these bytes to services that want little-endian.
    "audio/x-l16": Encoding.PCM16,
}
_TRACKS = {track.value: track for track in Track}
_UNKNOWN = Track.UNKNOWN
_DIGITS = frozenset("0123456789*#ABCD")
_NOTHING: tuple[MediaFact, ...] = ()


class LamlMedia(MediaWire):
    """One media connection of a LaML carrier's: JSON objects, whose `event` says what they are.

    SignalWire documents `connected`, `start`, `media`, `dtmf`, `mark` and `stop`; what else comes does not matter.
    """

    marks = True

    def __init__(self) -> None:
        self._sid = ""
        self._before = self._after = ""

    def decode(self, message: str | bytes) -> Iterable[MediaFact]:
        try:
            said = _loads(message)
            # The one that comes fifty times a second goes first.
            if said["event"] == "media":
                media = said["media"]
                track = _TRACKS.get(media["track"], _UNKNOWN)
                at, number = int(media["timestamp"]), int(media["chunk"])
                return (MediaHeard(a2b_base64(media["payload"], strict_mode=True), track, at, number),)
            return self._decode_other(cast("dict[str, object]", said))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unintelligible(f"this is no message of a LaML stream ({type(error).__name__})") from error

    def encode(self, order: MediaOrder) -> str | None:
        match order:
            case PlayAudio():
                return f"{self._before}{b2a_base64(order.payload, newline=False).decode('ascii')}{self._after}"
            case PlayMark():
                return json.dumps({"event": "mark", "streamSid": self._sid, "mark": {"name": order.name}})
            case Clear():
                return json.dumps({"event": "clear", "streamSid": self._sid})
            case PressDigit():
                if order.digit.upper() not in _DIGITS:
                    return None
                return json.dumps({"event": "dtmf", "streamSid": self._sid, "dtmf": {"digit": order.digit.upper()}})

    def _decode_other(self, said: dict[str, object]) -> tuple[MediaFact, ...]:
        match said:
            case {
                "event": "start",
                "start": {
                    "streamSid": str(sid),
                    "mediaFormat": {"encoding": str(encoding), "sampleRate": int() | str() as rate},
                },
            }:
                return (self._start(sid, encoding, int(rate)),)
            case {"event": "dtmf", "dtmf": {"digit": str(digit)}}:
                return (RemoteDigit(digit),)
            case {"event": "mark", "mark": {"name": str(name)}}:
                return (ReachedMark(name),)
            case {"event": "stop"}:
                return (MediaStopped("stop"),)
            case {"event": "start" | "dtmf" | "mark"}:
                raise ValueError
            case _:
                return _NOTHING

    def _start(self, sid: str, encoding: str, rate: int) -> MediaOpened:
        """The SID in `start` is the stream's; a SID beside the other messages is documented for some of them only."""
        self._sid = sid
        self._before = f'{{"event":"media","streamSid":{json.dumps(sid)},"media":{{"payload":"'
        self._after = '"}}'
        return MediaOpened(AudioFormat(_ENCODINGS[encoding.lower()], rate), sid)
