"""The measure that far ends are heard with, and the network, where no call shows that they can be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import rtp
from .network import Far, SipNetwork


def _heard(*payloads: bytes) -> list[int]:
    packets = [rtp.Packet(rtp.PCMU, marked=False, sequence=0, timestamp=0, source=0, payload=p) for p in payloads]
    return rtp.samples(packets)


@pytest.mark.parametrize("frequency", [440.0, 697.0, 1000.0])
def test_a_tone_has_its_energy_at_its_own_frequency_and_nowhere_else(frequency: float) -> None:
    heard = _heard(*rtp.tone(frequency, 0.25))

    assert rtp.share(heard, frequency) > 0.99
    assert rtp.share(heard, frequency * 1.5) < 0.01
    assert rtp.share(heard, frequency / 2) < 0.01


def test_two_tones_share_the_energy() -> None:
    both = [one + other for one, other in zip(_heard(*rtp.tone(500, 0.25)), _heard(*rtp.tone(900, 0.25)), strict=True)]

    assert rtp.share(both, 500) == pytest.approx(0.5, abs=0.02)
    assert rtp.share(both, 900) == pytest.approx(0.5, abs=0.02)


def test_silence_has_no_share_of_anything() -> None:
    assert rtp.share(_heard(b"\xff" * 2000), 440) == 0
    assert rtp.share([], 440) == 0


def test_keys_that_are_sent_are_read_once_each_although_every_one_is_many_packets() -> None:
    packets = [packet for packet in map(rtp.read, rtp.Sender(7).press("1199#*AD")) if packet is not None]

    assert rtp.keys(packets) == "1199#*AD"
    assert sum(packet.kind == rtp.EVENTS for packet in packets) > 8


def test_what_is_no_rtp_is_no_packet() -> None:
    assert rtp.read(b"") is None
    assert rtp.read(b"\x80\xc8" + bytes(26)) is None, "that is RTCP"


def test_waiting_in_vain_says_what_was_seen(network: SipNetwork) -> None:
    with pytest.raises(AssertionError, match="What was seen"):
        network.wait(lambda: False, 0.01)


def test_leaving_the_network_ends_its_far_ends(programs: None) -> None:
    with SipNetwork() as network:
        network.address(Far.ANSWERS)
        network.address(Far.BUSY)
        pids = network.processes
        assert len(pids) == 2
        assert all(Path("/proc", str(pid)).exists() for pid in pids)

    assert not [pid for pid in pids if Path("/proc", str(pid)).exists()]
