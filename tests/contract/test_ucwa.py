"""UCWA keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telco_bridge import Bridge, Call
from telco_bridge.provider import Capability, Dial, HangUp
from telco_bridge.sandbox import Fault, NetworkClock, Sandbox
from telco_bridge.testing import Harness, ProviderContract, SandboxHarness, Trouble
from telco_bridge_ucwa.native import UcwaApplication

OFFER = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 50000 RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=video 50002 RTP/SAVP 122\r\na=rtpmap:122 X-H264UC/90000\r\n"
)


class UcwaHarness(SandboxHarness):
    async def enable(self, capability: Capability, bridge: Bridge, call: Call) -> None:
        if capability is Capability.MUTE:
            # The server mutes participants of conferences only.
            await bridge.native(UcwaApplication).conversation(call).add_participant("sip:speak@sandbox.test")


class TestUcwa(ProviderContract):
    @pytest.fixture
    def harness(self, sandbox: Sandbox) -> Iterator[Harness]:
        with UcwaHarness(
            "ucwa",
            operations={
                Dial: "POST startPhoneAudio",
                HangUp: "DELETE conversation",
            },
            events="event",
            # The answers to most commands are empty; a page in place of one is what cannot be read.
            faults={Trouble.ANSWER_GARBLED: Fault.HTML_ANSWER},
            offer=OFFER,
            ends_with_last_stream=True,
            settings={"available": True},
            number="+15550000001",
            impossible={
                Trouble.EVENT_FORGED: "events come only as answers to the bridge's own authenticated requests",
                Trouble.EVENTS_DISORDERED: "events come in packages, each of which is acknowledged before the next",
            },
            sandbox=sandbox,
        ) as harness:
            harness.clock = NetworkClock(speed=5)
            yield harness
