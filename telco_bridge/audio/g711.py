"""ITU-T G.711: mu-law and A-law to linear samples and back, by table.

Linear is PCM16, little-endian. G.711 itself speaks of 14 bits (mu-law) and 13 bits (A-law); its values stand in the
upper bits of the sample here, as in ITU-T's own software tools (G.191), and so do its decision values: a sample right
on one goes to the code further from zero where it is positive, and to the nearer one where it is negative.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

__all__ = ["accelerated", "decode_alaw", "decode_mulaw", "encode_alaw", "encode_mulaw"]


def decode_mulaw(data: bytes) -> bytes:
    """Return the linear samples of mu-law, two bytes for each."""
    pcm = bytearray(2 * len(data))
    pcm[::2] = data.translate(_MULAW_LOW)
    pcm[1::2] = data.translate(_MULAW_HIGH)
    return bytes(pcm)


def decode_alaw(data: bytes) -> bytes:
    """Return the linear samples of A-law, two bytes for each."""
    pcm = bytearray(2 * len(data))
    pcm[::2] = data.translate(_ALAW_LOW)
    pcm[1::2] = data.translate(_ALAW_HIGH)
    return bytes(pcm)


def encode_mulaw(pcm: bytes) -> bytes:
    """Return linear samples as mu-law, one byte for each. Raises `ValueError` for half a sample."""
    return _encode(pcm, _MULAW_CODES)


def encode_alaw(pcm: bytes) -> bytes:
    """Return linear samples as A-law, one byte for each. Raises `ValueError` for half a sample."""
    return _encode(pcm, _ALAW_CODES)


@cache
def accelerated(encode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return `encode_mulaw` or `encode_alaw` at a fifth of its cost where numpy is installed, and itself where not.

    The first time this may import numpy, and take a tenth of a second. Half a sample is not looked for.
    """
    try:
        import numpy as np
    except ImportError:
        return encode
    codes = np.frombuffer(_ALAW_CODES if encode is encode_alaw else _MULAW_CODES, dtype=np.uint8)
    look_up, samples, sixteen_bits = codes.take, np.frombuffer, np.uint16

    def with_numpy(pcm: bytes) -> bytes:
        return look_up(samples(pcm, sixteen_bits)).tobytes()

    return with_numpy


def _encode(pcm: bytes, codes: bytes) -> bytes:
    if len(pcm) % 2:
        raise ValueError(f"{len(pcm)} bytes of PCM16 end with half a sample: give whole ones, two bytes each")
    return bytes([codes[sample] for sample in memoryview(pcm).cast("H")])


def _mulaw_value(code: int) -> int:
    segment, step = ~code >> 4 & 7, ~code & 15
    magnitude = ((step << 3) + 132 << segment) - 132
    return magnitude if code & 0x80 else -magnitude


def _alaw_value(code: int) -> int:
    segment, step = (code ^ 0x55) >> 4 & 7, (code ^ 0x55) & 15
    magnitude = (step << 4) + 8 if segment == 0 else (step << 4) + 264 << segment - 1
    return magnitude if code & 0x80 else -magnitude


def _mulaw_codes() -> bytes:
    # The step doubles from segment to segment. Only the very first is halved, because zero has two codes; and
    # everything beyond the last is clipped to it.
    widths = [8 << (number >> 4) for number in range(128)]
    widths[0] = 4
    widths[127] += 0x8000 - sum(widths)
    return b"".join(bytes([0xFF - number]) * width for number, width in enumerate(widths))


def _alaw_codes() -> bytes:
    # Even bits are inverted on the line. The step doubles too, but the first two segments have the same one.
    widths = [8 << max(number >> 4, 1) for number in range(128)]
    return b"".join(bytes([number ^ 0xD5]) * width for number, width in enumerate(widths))


def _both_signs(codes: bytes) -> bytes:
    """Return the codes of all 65536 samples, by the sample as an unsigned number, from those of 0 to 32767."""
    other_sign = bytes(code ^ 0x80 for code in range(256))
    return codes + codes[::-1].translate(other_sign)


def _as_read(codes: bytes, byteorder: str) -> bytes:
    """Return codes by the number that a host of that byte order reads where a little-endian sample stands."""
    return codes if byteorder == "little" else b"".join(codes[low::256] for low in range(256))


_MULAW_VALUES = [_mulaw_value(code) for code in range(256)]
_MULAW_LOW = bytes(value & 0xFF for value in _MULAW_VALUES)
_MULAW_HIGH = bytes(value >> 8 & 0xFF for value in _MULAW_VALUES)
_MULAW_CODES = _as_read(_both_signs(_mulaw_codes()), sys.byteorder)

_ALAW_VALUES = [_alaw_value(code) for code in range(256)]
_ALAW_LOW = bytes(value & 0xFF for value in _ALAW_VALUES)
_ALAW_HIGH = bytes(value >> 8 & 0xFF for value in _ALAW_VALUES)
_ALAW_CODES = _as_read(_both_signs(_alaw_codes()), sys.byteorder)
