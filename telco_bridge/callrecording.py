"""What is said in a call, written to a file as it is said."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from .audio.frames import AudioFrame, AudioStats
from .audio.mixdown import Mixdown
from .audio.wav import StereoWavWriter
from .callaudio import CallAudio
from .errors import NotPossibleNow

if TYPE_CHECKING:
    from typing import Self

    from .mediastream import MediaStream

__all__ = ["CallRecording"]

_log = logging.getLogger("telco_bridge")

_AT_A_TIME = 0.1
"""Seconds of audio that are written at once."""


class CallRecording:
    """A stereo WAV file of a call: what the far end says on the left, what it hears on the right.

    Made by `Call.record_to`, entered once. Every tenth of a second is on its way to the disk as soon as it has been
    said, in a file that can be played whenever the process dies. Leaving ends the recording and nothing else.
    """

    def __init__(self, audio: CallAudio, path: str | Path) -> None:
        self.path = Path(path)
        self._audio = audio
        self._rate = audio.format.rate
        self._mixdown = Mixdown(rate=self._rate)
        self._ready = [bytearray(), bytearray()]
        self._file: StereoWavWriter | None = None
        self._samples = 0
        self._failure: OSError | None = None

    def __repr__(self) -> str:
        return f"<CallRecording {self.path}: {self.seconds:.1f} s>"

    @property
    def seconds(self) -> float:
        """How much has been written."""
        return self._samples / self._rate

    @property
    def stream(self) -> MediaStream:
        """The stream that carries the audio."""
        return self._audio.stream

    @property
    def stats(self) -> AudioStats:
        """What was counted so far."""
        return self._audio.stats

    async def __aenter__(self) -> Self:
        if self._file is not None:
            raise NotPossibleNow("this recording was entered already; call.record_to() makes another")
        # Before anything is asked of the provider: a file that cannot be written is the caller's to know first.
        self._file = StereoWavWriter(self.path, rate=self._rate)
        try:
            await self._audio.__aenter__()
        except BaseException:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise
        self._audio.divert(self._take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._audio.__aexit__(kind, error, trace)
        finally:
            self._write(*self._mixdown.rest(), all_of_it=True)
            if self._file is not None:
                self._file.close()
        if self._failure is not None and error is None:
            raise self._failure

    async def ended(self) -> None:
        """Wait until nothing more comes: the stream, or the call, has ended."""
        await self._audio.stream.ended()

    def _take(self, frame: AudioFrame) -> None:
        self._mixdown.add(frame.data, frame.track, frame.timestamp)
        self._write(*self._mixdown.take())

    def _write(self, left: bytes, right: bytes, *, all_of_it: bool = False) -> None:
        ready = self._ready
        ready[0] += left
        ready[1] += right
        if self._file is None or self._failure is not None or not ready[0]:
            return
        if not all_of_it and len(ready[0]) < 2 * self._rate * _AT_A_TIME:
            return
        try:
            self._file.write(bytes(ready[0]), bytes(ready[1]))
        except OSError as failure:
            # A full disk must not take the call down; whoever leaves the recording is told.
            self._failure = failure
            _log.error("the recording %s cannot be written any more: %s", self.path, failure)
        else:
            self._samples += len(ready[0]) // 2
        ready[0].clear()
        ready[1].clear()
