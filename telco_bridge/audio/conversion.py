"""Turning audio of one format into audio of another, piece by piece."""

from __future__ import annotations

from collections.abc import Callable

from .formats import AudioFormat, Encoding
from .g711 import accelerated, decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from .resampling import Resampler

__all__ = ["Conversion"]

_DECODERS: dict[Encoding, Callable[[bytes], bytes]] = {Encoding.MULAW: decode_mulaw, Encoding.ALAW: decode_alaw}
_ENCODERS: dict[Encoding, Callable[[bytes], bytes]] = {Encoding.MULAW: encode_mulaw, Encoding.ALAW: encode_alaw}


class Conversion:
    """One stream's way from `source` to `target`.

    Pieces may be cut anywhere, in the middle of a sample too: half a sample waits for its other half. Where the rates
    differ, what comes is a little late, as `Resampler` says. Raises `ValueError` where that cannot convert them.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.source = source
        self.target = target
        self.direct = source == target
        """Whether there is nothing to do: then `convert` returns its very argument."""
        self._half = b""
        self._resampler = Resampler(source.rate, target.rate) if source.rate != target.rate else None
        transcodes = self._resampler is not None or source.encoding is not target.encoding
        self._decode = _DECODERS.get(source.encoding) if transcodes else None
        encode = _ENCODERS.get(target.encoding) if transcodes else None
        self._encode = accelerated(encode) if encode is not None else None

    def convert(self, data: bytes) -> bytes:
        """Take a piece of the source, of any length; return what it allows to be said."""
        if self.direct:
            return data
        if self._decode is not None:
            data = self._decode(data)
        if self._resampler is not None:
            data = self._resampler.resample(data)
        if self._encode is not None:
            if self._half or len(data) % 2:
                data = self._half + data
                self._half, data = data[len(data) & ~1 :], data[: len(data) & ~1]
            data = self._encode(data)
        return data

    def flush(self) -> bytes:
        """Return the rest, at the end of the source; half a sample is dropped. A new source may begin afterwards."""
        self._half = b""
        rest = self._resampler.flush() if self._resampler is not None else b""
        return self._encode(rest) if self._encode is not None else rest
