"""Audio as a far end hears and speaks it: RTP with PCMU (RFC 3551), and keys as telephone events (RFC 4733)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["EVENTS", "PCMU", "RATE", "TICK", "Packet", "Sender", "keys", "read", "samples", "share", "tone"]

RATE = 8000
"""Samples in a second."""
TICK = 0.02
"""Seconds in a packet."""
PCMU = 0
"""The payload type of audio."""
EVENTS = 101
"""The payload type of keys, as all far ends here say it in their SDP."""

_PER_PACKET = int(RATE * TICK)
_KEYS = "0123456789*#ABCD"
_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_BIAS = 0x84
_PRESSED, _REPEATED = 5, 3
"""Packets of a key while it is held down, and those that tell its end."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet."""

    kind: int
    marked: bool
    sequence: int
    timestamp: int
    source: int
    payload: bytes


def read(data: bytes) -> Packet | None:
    """Return the packet; None for what is none, such as RTCP."""
    if len(data) < _HEADER.size or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F < 96:
        return None
    first, second, sequence, timestamp, source = _HEADER.unpack_from(data)
    return Packet(
        kind=second & 0x7F,
        marked=bool(second & 0x80),
        sequence=sequence,
        timestamp=timestamp,
        source=source,
        payload=data[_HEADER.size + 4 * (first & 0x0F) :],
    )


def samples(packets: Sequence[Packet]) -> list[int]:
    """Return what the audio packets among them say, as linear samples."""
    return [_LINEAR[byte] for packet in packets if packet.kind == PCMU for byte in packet.payload]


def share(heard: Sequence[int], frequency: float) -> float:
    """Return how much of the energy is at that frequency, from 0 to 1 (Goertzel). Silence has no share of anything."""
    energy = sum(sample * sample for sample in heard)
    if not energy:
        return 0.0
    step = 2 * math.cos(2 * math.pi * frequency / RATE)
    before, last = 0.0, 0.0
    for sample in heard:
        before, last = last, sample + step * last - before
    power = last * last + before * before - step * last * before
    return 2 * power / (len(heard) * energy)


def keys(packets: Sequence[Packet]) -> str:
    """Return the keys that were pressed: packets with the same timestamp are one key."""
    pressed: dict[tuple[int, int], str] = {}
    for packet in packets:
        if packet.kind == EVENTS and len(packet.payload) >= _EVENT.size and packet.payload[0] < len(_KEYS):
            pressed.setdefault((packet.source, packet.timestamp), _KEYS[packet.payload[0]])
    return "".join(pressed.values())


def tone(frequency: float, seconds: float, *, loudness: float = 0.5) -> Iterator[bytes]:
    """Yield the payloads of a tone, one for every tick."""
    for start in range(0, round(seconds * RATE), _PER_PACKET):
        yield bytes(
            _compressed(round(32000 * loudness * math.sin(2 * math.pi * frequency * n / RATE)))
            for n in range(start, start + _PER_PACKET)
        )


class Sender:
    """One stream of packets; every one that is yielded is due a tick after the one before."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._sequence = 0
        self._timestamp = 0

    def speak(self, frequency: float, seconds: float) -> Iterator[bytes]:
        """Yield the packets of a tone."""
        for payload in tone(frequency, seconds):
            yield self._packet(PCMU, payload, marked=self._sequence == 0)
            self._timestamp += _PER_PACKET

    def press(self, keys: str) -> Iterator[bytes]:
        """Yield the packets of these keys, and of a pause after each."""
        for key in keys:
            for n in range(1, _PRESSED + _REPEATED + 1):
                ended = n > _PRESSED
                duration = min(n, _PRESSED) * _PER_PACKET
                payload = _EVENT.pack(_KEYS.index(key), (0x80 if ended else 0) | 10, duration)
                yield self._packet(EVENTS, payload, marked=n == 1)
            self._timestamp += (_PRESSED + _REPEATED) * _PER_PACKET
            yield from self.speak(0, 0.06)

    def _packet(self, kind: int, payload: bytes, *, marked: bool) -> bytes:
        self._sequence += 1
        header = _HEADER.pack(
            0x80, kind | (0x80 if marked else 0), self._sequence & 0xFFFF, self._timestamp, self._source
        )
        return header + payload


def _compressed(sample: int) -> int:
    """G.711 µ-law."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def _expanded(byte: int) -> int:
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + _BIAS << ((byte >> 4) & 7)) - _BIAS
    return -magnitude if byte & 0x80 else magnitude


_LINEAR = tuple(_expanded(byte) for byte in range(256))
