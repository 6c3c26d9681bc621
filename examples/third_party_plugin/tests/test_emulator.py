"""The simulated network by SIP, called by a real baresip."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telco_bridge import CallState, NotAnswered, TerminationReason, connect
from telco_bridge.sandbox import Sandbox

from telco_bridge_baresip import sip

from .network import PATIENCE

INVITE = (
    "INVITE sip:+15550100@127.0.0.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:4000;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP 127.0.0.1:4001;branch=z9hG4bK2\r\n"
    'From: "Telco" <sip:telco@127.0.0.1>;tag=a\r\nTo: <sip:+15550100@127.0.0.1:5060>\r\nCall-ID: c1\r\n'
    "CSeq: 7 INVITE\r\nContact: <sip:telco@127.0.0.1:4000>\r\nContent-Length: 0\r\n\r\nv=0\r\na=sendonly\r\n"
)


def test_a_request_is_read() -> None:
    request = sip.read(INVITE.encode())

    assert request is not None
    assert (request.method, request.callee, request.caller) == ("INVITE", "+15550100", "sip:telco@127.0.0.1")
    assert (request.call_id, request.in_dialog, request.way) == ("c1", False, "sendonly")


def test_an_answer_goes_back_the_way_that_the_request_came() -> None:
    request = sip.read(INVITE.encode())
    assert request is not None

    said = sip.answer(request, 486, "Busy Here", tag="t").decode().split("\r\n")

    assert said[0] == "SIP/2.0 486 Busy Here"
    assert [line for line in said if line.startswith("Via: ")] == [
        "Via: SIP/2.0/UDP 127.0.0.1:4000;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 127.0.0.1:4001;branch=z9hG4bK2",
    ]
    assert "To: <sip:+15550100@127.0.0.1:5060>;tag=t" in said
    assert "Cseq: 7 INVITE" in said


def test_a_hang_up_is_sent_to_the_contact_with_the_sides_exchanged() -> None:
    request = sip.read(INVITE.encode())
    assert request is not None

    said = sip.bye(request, tag="t", branch="b", host="127.0.0.1:5060").decode().split("\r\n")

    assert said[0] == "BYE sip:telco@127.0.0.1:4000 SIP/2.0"
    assert "From: <sip:+15550100@127.0.0.1:5060>;tag=t" in said
    assert 'To: "Telco" <sip:telco@127.0.0.1>;tag=a' in said


@given(
    data=st.one_of(st.binary(), st.text().map(str.encode), st.text().map(lambda rest: (INVITE[:80] + rest).encode()))
)
def test_whatever_comes_is_a_request_or_nothing(data: bytes) -> None:
    request = sip.read(data)

    assert request is None or sip.answer(request, 200, "OK", tag="t").startswith(b"SIP/2.0 200 OK\r\n")


@pytest.fixture
def settings(programs: None) -> None:
    """Real calls need the program."""


async def test_the_magic_numbers_are_what_they_are_everywhere(settings: None) -> None:
    with Sandbox("baresip", speed=20) as sandbox:
        async with connect(sandbox.profile("baresip")) as bridge:
            call = await bridge.dial("+15550100")
            await call.answered()
            await call.hold()
            assert next(iter(sandbox.exchange.legs.values())).held
            await call.resume()
            await call.hangup()
            for number, reason in (("+15550101", TerminationReason.BUSY), ("+15550102", TerminationReason.REJECTED)):
                refused = await bridge.dial(number)
                with pytest.raises(NotAnswered):
                    await refused.answered()
                assert (await refused.ended()).reason is reason
            gone = await bridge.dial("sip:hangup@sandbox.test")
            assert (await gone.ended()).reason is TerminationReason.NORMAL
            assert call.state is CallState.ENDED
        assert not sandbox.exchange.legs


def test_the_demo_runs_over_it(settings: None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "telco_bridge.cli", "demo", "--provider", "baresip"],
        check=False,
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 calls, 5 ends, nothing left up in the network" in done.stdout
