"""Changing the sample rate of a stream, piece by piece."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Protocol, cast

from .formats import AudioFormat, Encoding
from .polyphase import polyphase

__all__ = ["Engine", "Resampler"]


class Engine(StrEnum):
    """What does the work."""

    SOXR = "soxr"
    """libsoxr, from the extra `audio`: any two rates, 10 to 30 ms late."""
    POLYPHASE = "polyphase"
    """The library's own, in Python: 16 samples of the lower rate late, which is 2 ms at 8 kHz."""
    NONE = "none"
    """The rates are equal: nothing is done."""


class Resampler:
    """Turns PCM16, mono and little-endian, of one rate into that of another.

    Each piece gives as much as it lasts, at once, so that frames stay frames; what comes is the source a little later,
    as much as `engine` needs to look ahead. Pieces may be cut anywhere, in the middle of a sample too: half a sample
    waits for its other half.

    `engine` is chosen where it is not given: soxr, where a release is installed that can work without collecting
    100 ms first (1.1 and later), and the library's own otherwise. Asking for soxr without it raises `ValueError`; so do
    rates outside 8000 to 48000 Hz, and rates that have too little in common for the library's own.
    """

    def __init__(self, source_rate: int, target_rate: int, *, engine: Engine | None = None) -> None:
        AudioFormat(Encoding.PCM16, source_rate)
        AudioFormat(Encoding.PCM16, target_rate)
        self.source_rate = source_rate
        self.target_rate = target_rate
        self.engine = Engine.NONE
        """What does the work."""
        self._half = b""
        self._work: _Work | None = None
        if source_rate != target_rate:
            self.engine, self._work = _begin(source_rate, target_rate, engine)

    def resample(self, pcm: bytes) -> bytes:
        """Take a piece of the source, of any length; return what it allows to be said."""
        if self._work is None:
            return pcm
        if self._half:
            pcm = self._half + pcm
        if len(pcm) % 2:
            self._half, pcm = pcm[-1:], pcm[:-1]
        else:
            self._half = b""
        return self._work.resample(pcm) if pcm else b""

    def flush(self) -> bytes:
        """Return the rest, at the end of the source; half a sample is dropped. A new source may begin afterwards."""
        self._half = b""
        return self._work.flush() if self._work is not None else b""


class _Work(Protocol):
    """A change of rate under way, in whole samples."""

    def resample(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


def _begin(source_rate: int, target_rate: int, engine: Engine | None) -> tuple[Engine, _Work]:
    if engine is not Engine.POLYPHASE:
        try:
            return Engine.SOXR, _Soxr(source_rate, target_rate)
        except (ImportError, TypeError) as error:
            # Releases before 1.1 do not know `vr`.
            if engine is Engine.SOXR:
                raise ValueError("soxr 1.1 or later is not installed: install telco-bridge[audio]") from error
    return Engine.POLYPHASE, polyphase(source_rate, target_rate)


class _Samples(Protocol):
    """What is used of a numpy array."""

    def astype(self, dtype: str, *, copy: bool) -> _Samples: ...

    def tobytes(self) -> bytes: ...


class _Numpy(Protocol):
    """What is used of numpy."""

    def frombuffer(self, buffer: bytes, dtype: str) -> _Samples: ...


class _Stream(Protocol):
    """What is used of `soxr.ResampleStream`."""

    def resample_chunk(self, x: _Samples, *, last: bool = False) -> _Samples: ...

    def clear(self) -> None: ...


class _Soxr:
    """soxr as it works on live audio."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        # Both belong to an extra. Neither an import nor a check of types may depend on whether it is installed.
        soxr = import_module("soxr")
        self._numpy = cast("_Numpy", import_module("numpy"))
        # With a variable rate, which is not used, soxr filters sample by sample. Otherwise it transforms blocks of
        # 60 to 100 ms, and nothing would be heard until one is full.
        stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="int16", quality="HQ", vr=True)
        self._stream = cast("_Stream", stream)
        self._millisecond = bytes(2 * (source_rate // 1000))
        self._fill()

    def resample(self, pcm: bytes) -> bytes:
        return self._process(pcm, last=False)

    def flush(self) -> bytes:
        rest = self._process(b"", last=True)
        self._stream.clear()
        self._fill()
        return rest

    def _process(self, pcm: bytes, *, last: bool) -> bytes:
        samples = self._numpy.frombuffer(pcm, "<i2").astype("int16", copy=False)
        return self._stream.resample_chunk(samples, last=last).astype("<i2", copy=False).tobytes()

    def _fill(self) -> None:
        """Give it the silence that it holds back, so that the first frame gives a frame as every other does."""
        while not self.resample(self._millisecond):
            pass
