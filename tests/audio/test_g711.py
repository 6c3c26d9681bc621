"""G.711 to the letter."""

import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge.audio import g711
from telco_bridge.audio.g711 import accelerated, decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

EVERY_CODE = bytes(range(256))
EVERY_VALUE = range(-32768, 32768)
EVERY_SAMPLE = struct.pack("<65536h", *EVERY_VALUE)

# ITU-T G.711, tables 2a and 2b (mu-law): the quantized value at the beginning of each segment, which has 14 bits there
# and stands in the upper ones of 16 here, and the code on the line.
MULAW_SEGMENTS = {0: 0xFF, 33: 0xEF, 99: 0xDF, 231: 0xCF, 495: 0xBF, 1023: 0xAF, 2079: 0x9F, 4191: 0x8F, 8031: 0x80}
# ITU-T G.711, tables 1a and 1b (A-law), in halves of the units there, of which 4096 are full scale.
ALAW_SEGMENTS = {1: 0xD5, 33: 0xC5, 66: 0xF5, 132: 0xE5, 264: 0x95, 528: 0x85, 1056: 0xB5, 2112: 0xA5, 4032: 0xAA}


def value(pcm):
    return struct.unpack("<h", pcm)[0]


@pytest.mark.parametrize(("quantized", "code"), MULAW_SEGMENTS.items())
def test_mulaw_has_the_values_of_the_recommendation(quantized, code):
    assert value(decode_mulaw(bytes([code]))) == 4 * quantized
    assert value(decode_mulaw(bytes([code ^ 0x80]))) == -4 * quantized
    assert encode_mulaw(struct.pack("<h", 4 * quantized)) == bytes([code])


@pytest.mark.parametrize(("quantized", "code"), ALAW_SEGMENTS.items())
def test_alaw_has_the_values_of_the_recommendation(quantized, code):
    assert value(decode_alaw(bytes([code]))) == 8 * quantized
    assert value(decode_alaw(bytes([code ^ 0x80]))) == -8 * quantized
    assert encode_alaw(struct.pack("<h", 8 * quantized)) == bytes([code])


def reference_mulaw(sample):
    """The compression of ITU-T G.191, step by step."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = (magnitude >> 6).bit_length() + 1
    code = (8 - segment) << 4 | (0xF - (magnitude >> segment & 0xF))
    return code if sample < 0 else code | 0x80


def reference_alaw(sample):
    """The compression of ITU-T G.191, step by step."""
    code = (~sample if sample < 0 else sample) >> 4
    if code > 15:
        exponent = 1
        while code > 31:
            code >>= 1
            exponent += 1
        code += (exponent << 4) - 16
    return (code if sample < 0 else code | 0x80) ^ 0x55


def test_every_sample_is_encoded_as_the_recommendation_computes_it():
    assert encode_mulaw(EVERY_SAMPLE) == bytes(map(reference_mulaw, EVERY_VALUE))
    assert encode_alaw(EVERY_SAMPLE) == bytes(map(reference_alaw, EVERY_VALUE))


@pytest.mark.parametrize(
    ("encode", "decode", "step"),
    [
        (encode_mulaw, decode_mulaw, lambda size: 8 << max(0, (size + 132).bit_length() - 8)),
        (encode_alaw, decode_alaw, lambda size: 8 << max(1, size.bit_length() - 8 + 1)),
    ],
    ids=["mulaw", "alaw"],
)
def test_every_sample_comes_back_within_half_a_quantisation_step(encode, decode, step):
    loudest = max(struct.unpack("<256h", decode(EVERY_CODE)))
    for sample, back in zip(EVERY_VALUE, struct.unpack("<65536h", decode(encode(EVERY_SAMPLE))), strict=True):
        wanted = max(-loudest, min(loudest, sample))
        assert abs(back - wanted) <= step(abs(wanted)) / 2, (sample, back)


def test_every_code_comes_back_as_itself():
    assert encode_alaw(decode_alaw(EVERY_CODE)) == EVERY_CODE
    # Mu-law has two codes for zero, and uses the positive one.
    assert encode_mulaw(decode_mulaw(EVERY_CODE)) == EVERY_CODE.replace(b"\x7f", b"\xff")


def test_what_is_louder_is_never_encoded_as_softer():
    for encode, decode in ((encode_mulaw, decode_mulaw), (encode_alaw, decode_alaw)):
        back = struct.unpack("<65536h", decode(encode(EVERY_SAMPLE)))
        assert list(back) == sorted(back)


@pytest.mark.filterwarnings("ignore:.*audioop.*:DeprecationWarning")
def test_the_module_that_python_no_longer_has_agrees():
    audioop = pytest.importorskip("audioop")
    assert decode_mulaw(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert decode_alaw(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)
    assert encode_alaw(EVERY_SAMPLE) == audioop.lin2alaw(EVERY_SAMPLE, 2)
    # It rounds negative samples down to 14 bits, where G.191 rounds them to zero; it is the same on the 14 bits.
    in_14_bits = struct.pack("<16384h", *range(-32768, 32768, 4))
    positive = struct.pack("<32768h", *range(32768))
    assert encode_mulaw(positive) == audioop.lin2ulaw(positive, 2)
    differing = [
        ours != theirs for ours, theirs in zip(encode_mulaw(in_14_bits), audioop.lin2ulaw(in_14_bits, 2), strict=True)
    ]
    assert sum(differing) == 127, "one for each negative decision value, on which a sample can go either way"


@given(st.binary())
def test_decoding_makes_two_bytes_of_each(data):
    assert len(decode_mulaw(data)) == len(decode_alaw(data)) == 2 * len(data)


@given(st.lists(st.integers(-32768, 32767)))
def test_samples_do_not_depend_on_their_neighbours(samples):
    pcm = struct.pack(f"<{len(samples)}h", *samples)
    assert encode_mulaw(pcm) == b"".join(encode_mulaw(struct.pack("<h", sample)) for sample in samples)
    assert encode_alaw(pcm) == b"".join(encode_alaw(struct.pack("<h", sample)) for sample in samples)


@pytest.mark.parametrize("encode", [encode_mulaw, encode_alaw])
def test_half_a_sample_is_refused(encode):
    with pytest.raises(ValueError, match="3 bytes of PCM16 end with half a sample"):
        encode(b"\0\0\0")


def test_the_tables_fit_hosts_of_either_byte_order():
    # The file's own table, taken apart: whatever this host is, the other order must find the same codes.
    codes = encode_mulaw(struct.pack("<65536H", *range(65536)))
    as_read = g711._as_read(codes, "big")
    assert g711._as_read(codes, "little") == codes
    for sample in (0, 1, 0x00FF, 0x0100, 0x1234, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF):
        (swapped,) = struct.unpack(">H", struct.pack("<H", sample))
        assert as_read[swapped] == codes[sample]


@pytest.mark.parametrize("encode", [encode_mulaw, encode_alaw])
def test_every_sample_has_the_same_code_with_numpy_and_without(encode):
    pytest.importorskip("numpy")
    with_numpy = accelerated(encode)

    assert with_numpy is not encode
    assert with_numpy(EVERY_SAMPLE) == encode(EVERY_SAMPLE)
    assert with_numpy(b"") == b""


def test_without_numpy_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)

    assert accelerated.__wrapped__(encode_mulaw) is encode_mulaw
