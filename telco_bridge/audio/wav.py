"""WAV files: sounds to be played, and recordings that survive whatever becomes of the process."""

from __future__ import annotations

import errno
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from .formats import RATES, AudioFormat, Encoding
from .g711 import decode_alaw, decode_mulaw

__all__ = ["StereoWavWriter", "UnreadableWav", "WavReader"]

_PCM, _ALAW, _MULAW, _EXTENSIBLE = 0x0001, 0x0006, 0x0007, 0xFFFE
_BLOCK = 100
"""Milliseconds that are read at a time."""
_HEADER = 44
_MOST = 0xFFFFFFFF - (_HEADER - 8)
"""The most bytes of audio of which a WAV file can tell the size."""
_OTHER_SIGN = bytes(code ^ 0x80 for code in range(256))


class UnreadableWav(ValueError):
    """No WAV file, or none of a kind that can be read; the message names the file and says what is wrong."""


class WavReader:
    """A WAV file as blocks of PCM16, mono.

    Reads PCM of 8, 16 or 24 bits, mu-law and A-law, mono or stereo (which is mixed), at 8000 to 48000 Hz. A file that
    is cut off, or does not know its own size, is read as far as it goes. Raises `UnreadableWav` for others, and
    `OSError` where there is no reading at all. It blocks: in an event loop, use a thread.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._file = self.path.open("rb")
        try:
            self._layout, self._left = self._open()
        except BaseException:
            self._file.close()
            raise
        self.format = AudioFormat(Encoding.PCM16, self._layout.rate)
        """What the blocks are in."""
        self.seconds = self._left / self._layout.frame / self._layout.rate
        """How long it lasts."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield what has not been read yet, 100 ms at a time; the last block may be shorter."""
        layout = self._layout
        size = layout.rate * _BLOCK // 1000 * layout.frame
        while self._left > 0 and (data := self._file.read(min(size, self._left))):
            self._left -= len(data)
            pcm = layout.decode(data[: len(data) - len(data) % layout.frame])
            yield pcm if layout.channels == 1 else _mixed(pcm)

    def __enter__(self) -> WavReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> tuple[_Layout, int]:
        """Read up to the audio; return how it is laid out, and its size."""
        start = self._file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            raise self._unreadable("it does not begin as a WAV file does")
        end = self._file.seek(0, 2)
        self._file.seek(len(start))
        layout: _Layout | None = None
        while len(head := self._file.read(8)) == 8:
            name, size = head[:4], int.from_bytes(head[4:], "little")
            place = self._file.tell()
            if name == b"fmt ":
                layout = self._layout_of(self._file.read(min(size, 40)))
            elif name == b"data":
                if layout is None:
                    raise self._unreadable("its audio comes before its format")
                size = min(size, end - place)
                return layout, size - size % layout.frame
            self._file.seek(place + size + size % 2)
        raise self._unreadable("there is no audio in it")

    def _layout_of(self, chunk: bytes) -> _Layout:
        if len(chunk) < 16:
            raise self._unreadable("its format is cut off")
        tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", chunk)
        if tag == _EXTENSIBLE and len(chunk) >= 26:
            (tag,) = struct.unpack_from("<H", chunk, 24)
        decode = _DECODERS.get((tag, bits))
        if decode is None:
            raise self._unreadable(
                f"its encoding is number {tag} with {bits} bits; PCM (1) of 8, 16 or 24 bits, A-law (6) and mu-law (7) "
                "can be read"
            )
        if channels not in {1, 2}:
            raise self._unreadable(f"it has {channels} channels; mono and stereo can be read")
        if rate not in RATES:
            raise self._unreadable(f"its rate is {rate} Hz; 8000 to 48000 Hz can be read")
        if frame != channels * bits // 8:
            raise self._unreadable(f"it gives {frame} bytes to {channels} samples of {bits} bits")
        return _Layout(decode, channels, rate, frame)

    def _unreadable(self, why: str) -> UnreadableWav:
        return UnreadableWav(f"{self.path} cannot be read as a WAV file: {why}")


class _Layout(NamedTuple):
    """How the audio of a file is written."""

    decode: Callable[[bytes], bytes]
    channels: int
    rate: int
    frame: int
    """Bytes for one sample of every channel."""


def _from_8_bits(data: bytes) -> bytes:
    pcm = bytearray(2 * len(data))
    pcm[1::2] = data.translate(_OTHER_SIGN)
    return bytes(pcm)


def _from_16_bits(data: bytes) -> bytes:
    return data


def _from_24_bits(data: bytes) -> bytes:
    pcm = bytearray(len(data) // 3 * 2)
    pcm[::2] = data[1::3]
    pcm[1::2] = data[2::3]
    return bytes(pcm)


_DECODERS: dict[tuple[int, int], Callable[[bytes], bytes]] = {
    (_PCM, 8): _from_8_bits,
    (_PCM, 16): _from_16_bits,
    (_PCM, 24): _from_24_bits,
    (_ALAW, 8): decode_alaw,
    (_MULAW, 8): decode_mulaw,
}


def _mixed(pcm: bytes) -> bytes:
    """Return the mean of two channels."""
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    mono = array("h", [(left + right) >> 1 for left, right in zip(samples[::2], samples[1::2], strict=True)])
    if sys.byteorder == "big":
        mono.byteswap()
    return mono.tobytes()


class StereoWavWriter:
    """A WAV file of 16 bits, with two channels, which is whole after every `write`.

    Whenever the process dies, the file is valid and holds everything that had been written: at the end of `write` it is
    with the operating system, and nobody waits for the disk. A file that is there is replaced. Raises `OSError` where
    it cannot be written, and `ValueError` for a rate outside 8000 to 48000 Hz. It blocks, as files do.
    """

    def __init__(self, path: str | PathLike[str], *, rate: int) -> None:
        self.path = Path(path)
        self.format = AudioFormat(Encoding.PCM16, rate)
        """What each channel is in."""
        self._size = 0
        # Without a buffer: what is in one would die with the process.
        self._file: BinaryIO = self.path.open("wb", buffering=0)
        try:
            self._put(0, self._header())
        except BaseException:
            self._file.close()
            raise

    @property
    def seconds(self) -> float:
        """How much has been written."""
        return self._size / 4 / self.format.rate

    def write(self, left: bytes, right: bytes) -> None:
        """Append audio, the same length on either side.

        Raises `ValueError` where the lengths differ, end with half a sample, or the file has been closed; and `OSError`
        where the file is full: it can hold 4 GiB. Nothing of it counts then, and the file stays whole.
        """
        if self._file.closed:
            raise ValueError(f"{self.path} has been closed: nothing can be written any more")
        if len(left) != len(right) or len(left) % 2:
            raise ValueError(
                f"{len(left)} bytes left and {len(right)} right: give whole samples, as many on either side"
            )
        if self._size + 2 * len(left) > _MOST:
            raise OSError(errno.EFBIG, "A WAV file holds no more than 4 GiB: begin another", str(self.path))
        both = bytearray(2 * len(left))
        both[::4], both[1::4], both[2::4], both[3::4] = left[::2], left[1::2], right[::2], right[1::2]
        self._put(_HEADER + self._size, both)
        self._size += len(both)
        # The header comes last and at once: until then, what has been appended is not part of the file.
        self._put(0, self._header())

    def __enter__(self) -> StereoWavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; again does nothing."""
        self._file.close()

    def _put(self, place: int, data: bytes | bytearray) -> None:
        self._file.seek(place)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _header(self) -> bytes:
        riff = struct.pack("<4sI4s", b"RIFF", self._size + _HEADER - 8, b"WAVE")
        layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 2, self.format.rate, 4 * self.format.rate, 4, 16)
        return riff + layout + struct.pack("<4sI", b"data", self._size)
