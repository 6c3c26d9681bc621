"""WAV files: what can be played, and what a recording leaves behind."""

import errno
import os
import signal
import struct
import subprocess
import sys
import textwrap
import wave
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge.audio import PCM16_8K, PCM16_16K, AudioFormat, Encoding, wav
from telco_bridge.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from telco_bridge.audio.wav import StereoWavWriter, UnreadableWav, WavReader

SAMPLES = [0, 1, -1, 1_000, -1_000, 32_767, -32_768, 12_345]
PCM = struct.pack(f"<{len(SAMPLES)}h", *SAMPLES)
EXTENSIBLE = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"


def chunk(name, content, size=None):
    return name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)


def layout(tag=1, channels=1, rate=8_000, bits=16, frame=None):
    frame = channels * bits // 8 if frame is None else frame
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)


def riff(*chunks):
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


@pytest.fixture
def file(tmp_path):
    """Writes a file, returns its path."""

    def write(content):
        path = tmp_path / "sound.wav"
        path.write_bytes(content)
        return path

    return write


def read(path):
    with WavReader(path) as reader:
        return b"".join(reader)


def test_linear_audio_of_16_bits_is_read_as_it_is(file):
    with WavReader(file(riff(chunk(b"fmt ", layout(rate=16_000)), chunk(b"data", PCM)))) as reader:
        assert reader.format == PCM16_16K
        assert reader.seconds == len(SAMPLES) / 16_000
        assert list(reader) == [PCM]


def test_what_python_writes_is_read(tmp_path):
    path = tmp_path / "python.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setparams((1, 2, 24_000, 0, "NONE", None))
        writer.writeframes(PCM * 10_000)
    with WavReader(str(path)) as reader:
        assert reader.format == AudioFormat(Encoding.PCM16, 24_000)
        blocks = list(reader)
    assert {len(block) for block in blocks[:-1]} == {2 * 2_400}
    assert b"".join(blocks) == PCM * 10_000


def test_8_bits_are_unsigned(file):
    path = file(riff(chunk(b"fmt ", layout(bits=8)), chunk(b"data", bytes([0, 127, 128, 255]))))
    assert struct.unpack("<4h", read(path)) == (-32_768, -256, 0, 32_512)


def test_of_24_bits_the_upper_16_are_kept(file):
    data = b"".join((sample << 8 | 0x7F).to_bytes(3, "little", signed=True) for sample in SAMPLES)
    assert read(file(riff(chunk(b"fmt ", layout(bits=24)), chunk(b"data", data)))) == PCM


@pytest.mark.parametrize(("tag", "encode", "decode"), [(7, encode_mulaw, decode_mulaw), (6, encode_alaw, decode_alaw)])
def test_the_encodings_of_telephony_are_read(file, tag, encode, decode):
    content = riff(
        chunk(b"fmt ", layout(tag=tag, bits=8) + b"\0\0"),
        chunk(b"fact", struct.pack("<I", len(SAMPLES))),
        chunk(b"data", encode(PCM)),
    )
    with WavReader(file(content)) as reader:
        assert reader.format == PCM16_8K
        assert reader.seconds == len(SAMPLES) / 8_000
        assert b"".join(reader) == decode(encode(PCM))


@pytest.mark.parametrize("tag", [1, 7])
def test_stereo_is_mixed(file, tag):
    left, right = struct.pack("<3h", 1_000, -32_768, 5), struct.pack("<3h", 3_000, -32_768, -6)
    data = b"".join(left[at : at + 2] + right[at : at + 2] for at in (0, 2, 4))
    if tag == 7:
        path = file(riff(chunk(b"fmt ", layout(tag=7, channels=2, bits=8)), chunk(b"data", encode_mulaw(data))))
        assert struct.unpack("<3h", read(path)) == pytest.approx((2_000, -32_124, 0), abs=64)
    else:
        path = file(riff(chunk(b"fmt ", layout(channels=2)), chunk(b"data", data)))
        assert struct.unpack("<3h", read(path)) == (2_000, -32_768, -1)


@pytest.mark.parametrize("tag", [1, 7])
def test_the_longer_way_to_say_the_same_format_is_read(file, tag):
    bits, data = (16, PCM) if tag == 1 else (8, encode_mulaw(PCM))
    head = layout(tag=0xFFFE, bits=bits) + struct.pack("<HHIH", 22, bits, 4, tag) + EXTENSIBLE
    assert len(read(file(riff(chunk(b"fmt ", head), chunk(b"data", data))))) == len(PCM)


def test_chunks_that_say_something_else_are_skipped(file):
    content = riff(
        chunk(b"LIST", b"INFOodd"),
        chunk(b"fmt ", layout()),
        chunk(b"bext", bytes(603)),
        chunk(b"data", PCM),
        chunk(b"id3 ", b"after the audio"),
    )
    assert read(file(content)) == PCM


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 100])
def test_a_file_that_does_not_know_its_size_is_read_as_far_as_it_goes(file, size):
    path = file(riff(chunk(b"fmt ", layout()), chunk(b"data", PCM + b"\1", size=size))[:-1])
    with WavReader(path) as reader:
        assert reader.seconds == len(SAMPLES) / 8_000
        assert b"".join(reader) == PCM


def test_an_empty_file_of_audio_is_just_that(file):
    with WavReader(file(riff(chunk(b"fmt ", layout()), chunk(b"data", b"")))) as reader:
        assert reader.seconds == 0.0
        assert list(reader) == []


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "it does not begin as a WAV file does"),
        (b"ID3\x04 an mp3", "it does not begin as a WAV file does"),
        (b"RIFF\0\0\0\0AVI ", "it does not begin as a WAV file does"),
        (b"RF64\0\0\0\0WAVE", "it does not begin as a WAV file does"),
        (riff(), "there is no audio in it"),
        (riff(chunk(b"fmt ", layout())), "there is no audio in it"),
        (riff(chunk(b"LIST", b"", size=0xFFFFFFFF)), "there is no audio in it"),
        (riff(chunk(b"data", PCM)), "its audio comes before its format"),
        (riff(chunk(b"fmt ", layout()[:10])), "its format is cut off"),
        (riff(chunk(b"fmt ", layout(tag=3, bits=32)), chunk(b"data", PCM)), "its encoding is number 3 with 32 bits"),
        (riff(chunk(b"fmt ", layout(bits=12)), chunk(b"data", PCM)), "its encoding is number 1 with 12 bits"),
        (riff(chunk(b"fmt ", layout(tag=0xFFFE)), chunk(b"data", PCM)), "its encoding is number 65534"),
        (riff(chunk(b"fmt ", layout(channels=6)), chunk(b"data", PCM)), "it has 6 channels"),
        (riff(chunk(b"fmt ", layout(channels=0)), chunk(b"data", PCM)), "it has 0 channels"),
        (riff(chunk(b"fmt ", layout(rate=96_000)), chunk(b"data", PCM)), "its rate is 96000 Hz"),
        (riff(chunk(b"fmt ", layout(rate=0)), chunk(b"data", PCM)), "its rate is 0 Hz"),
        (riff(chunk(b"fmt ", layout(frame=0)), chunk(b"data", PCM)), "it gives 0 bytes to 1 samples of 16 bits"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_what_is_wrong(file, content, wrong):
    with pytest.raises(UnreadableWav, match=f"sound.wav cannot be read as a WAV file: {wrong}"):
        WavReader(file(content))


def test_a_file_that_is_not_there_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        WavReader(tmp_path / "nothing.wav")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_is_in_a_file_it_is_read_or_refused(tmp_path_factory, data):
    content = bytearray(riff(chunk(b"fmt ", layout()), chunk(b"LIST", b"text"), chunk(b"data", PCM)))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)
    ):
        content[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(UnreadableWav):
        assert len(read(path)) % 2 == 0


# Writing ------------------------------------------------------------------------------------------------------------


def heard(path):
    """What the standard library finds in a file: rate, left, right."""
    with wave.open(str(path), "rb") as reader:
        assert (reader.getnchannels(), reader.getsampwidth()) == (2, 2)
        both = reader.readframes(reader.getnframes())
        assert len(both) == 4 * reader.getnframes()
    samples = memoryview(both).cast("h")
    return reader.getframerate(), samples[::2].tobytes(), samples[1::2].tobytes()


def test_either_side_is_written_to_its_channel(tmp_path):
    path = tmp_path / "call.wav"
    with StereoWavWriter(path, rate=16_000) as writer:
        writer.write(PCM, PCM[::-1])
        writer.write(b"", b"")
        writer.write(PCM, bytes(len(PCM)))
        assert writer.seconds == 2 * len(SAMPLES) / 16_000
    assert heard(path) == (16_000, PCM + PCM, PCM[::-1] + bytes(len(PCM)))


def test_a_file_is_whole_from_the_beginning_and_after_every_write(tmp_path):
    path = tmp_path / "call.wav"
    writer = StereoWavWriter(str(path), rate=8_000)
    assert heard(path) == (8_000, b"", b"")
    for times in range(1, 6):
        writer.write(PCM, PCM)
        assert heard(path) == (8_000, PCM * times, PCM * times)
        assert path.stat().st_size == 44 + 4 * len(SAMPLES) * times
        assert struct.unpack_from("<I", path.read_bytes(), 4) == (path.stat().st_size - 8,)
    writer.close()


def test_a_recording_can_be_played_again(tmp_path):
    with StereoWavWriter(tmp_path / "call.wav", rate=8_000) as writer:
        writer.write(PCM, PCM)
    assert read(tmp_path / "call.wav") == PCM


def test_closing_again_does_nothing_and_writing_then_is_refused(tmp_path):
    writer = StereoWavWriter(tmp_path / "call.wav", rate=8_000)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match=r"call\.wav has been closed"):
        writer.write(PCM, PCM)


@pytest.mark.parametrize(("left", "right"), [(PCM, PCM[2:]), (PCM, b""), (b"\0", b"\0")])
def test_sides_of_different_length_or_of_half_samples_are_refused(tmp_path, left, right):
    path = tmp_path / "call.wav"
    with StereoWavWriter(path, rate=8_000) as writer:
        writer.write(PCM, PCM)
        with pytest.raises(ValueError, match="give whole samples, as many on either side"):
            writer.write(left, right)
    assert heard(path) == (8_000, PCM, PCM)


def test_a_full_file_is_refused_and_stays_whole(tmp_path, monkeypatch):
    assert wav._MOST + 36 == 0xFFFFFFFF
    monkeypatch.setattr(wav, "_MOST", 100)
    path = tmp_path / "call.wav"
    with StereoWavWriter(path, rate=8_000) as writer:
        for _ in range(3):
            writer.write(PCM, PCM)
        with pytest.raises(OSError, match="no more than 4 GiB: begin another") as refusal:
            writer.write(PCM, PCM)
        assert (refusal.value.errno, refusal.value.filename) == (errno.EFBIG, str(path))
        writer.write(PCM[:2], PCM[:2])
    assert heard(path) == (8_000, PCM * 3 + PCM[:2], PCM * 3 + PCM[:2])


@pytest.mark.skipif(not hasattr(os, "truncate"), reason="needs a file with a hole")
def test_the_header_can_say_the_largest_size(tmp_path):
    path = tmp_path / "call.wav"
    with StereoWavWriter(path, rate=48_000) as writer:
        # As if it had been written: a hole that takes no room.
        writer._size = wav._MOST // 4 * 4 - 4 * len(SAMPLES)
        writer.write(PCM, PCM)
        with pytest.raises(OSError, match="4 GiB"):
            writer.write(PCM, PCM)
    with wave.open(str(path), "rb") as reader:
        assert reader.getnframes() == wav._MOST // 4
        reader.setpos(reader.getnframes() - len(SAMPLES))
        assert memoryview(reader.readframes(len(SAMPLES))).cast("h")[::2].tobytes() == PCM


def test_a_place_that_cannot_be_written_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        StereoWavWriter(tmp_path / "no" / "call.wav", rate=8_000)
    with pytest.raises(ValueError, match="8000 to 48000"):
        StereoWavWriter(tmp_path / "call.wav", rate=96_000)
    assert not (tmp_path / "call.wav").exists()


class Dying:
    """A file of which only the first `lives` system calls reach the disk, and the last of them only in part."""

    def __init__(self, file, lives):
        self.file = file
        self.lives = lives
        self.closed = False

    def seek(self, place):
        self.file.seek(place)

    def write(self, data):
        self.lives -= 1
        if self.lives <= 0:
            # A header is written at once or not at all; audio may be half there.
            if len(data) != 44 and self.lives == 0:
                self.file.write(data[: len(data) // 2])
            raise SystemExit
        return self.file.write(data)


@pytest.mark.parametrize("lives", range(1, 10))
def test_between_any_two_steps_the_process_may_die(tmp_path, lives):
    path = tmp_path / "call.wav"
    writer = StereoWavWriter(path, rate=8_000)
    real, writer._file = writer._file, Dying(writer._file, lives)
    written = 0
    with suppress(SystemExit):
        while True:
            writer.write(PCM, PCM)
            written += 1
    real.close()
    assert heard(path) == (8_000, PCM * written, PCM * written)


def test_a_disk_that_was_full_for_a_moment_does_no_harm(tmp_path):
    path = tmp_path / "call.wav"
    writer = StereoWavWriter(path, rate=8_000)
    writer.write(PCM, PCM)
    real, writer._file = writer._file, Dying(writer._file, 1)
    with pytest.raises(SystemExit):
        writer.write(PCM[::-1], PCM[::-1])
    writer._file = real
    writer.write(PCM, PCM)
    writer.close()
    assert heard(path) == (8_000, PCM * 2, PCM * 2)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_process_that_is_killed_leaves_what_it_had_written(tmp_path):
    path = tmp_path / "call.wav"
    program = """
        import struct, sys
        from telco_bridge.audio.wav import StereoWavWriter
        writer = StereoWavWriter(sys.argv[1], rate=8000)
        number = 0
        while True:
            frame = struct.pack("<160H", *[number & 0xFFFF] * 160)
            writer.write(frame, frame)
            number += 1
            print(number, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            for _ in range(500):
                told = int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        # What it had written before it died, though nobody had read the word of it yet.
        told = max([told, *map(int, process.stdout.read().rpartition("\n")[0].split())])
    rate, left, right = heard(path)
    assert rate == 8_000
    assert left == right
    frames = len(left) // 320
    assert told <= frames <= told + 1
    assert left == b"".join(struct.pack("<160H", *[number & 0xFFFF] * 160) for number in range(frames))
