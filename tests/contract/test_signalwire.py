"""SignalWire keeps the contract, told by callbacks and by polling."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import anyio.lowlevel
import pytest

from telco_bridge import Call
from telco_bridge.provider import Capability, Command, Dial, HangUp, SendDigits
from telco_bridge.sandbox import NetworkClock, Sandbox
from telco_bridge.testing import Harness, ProviderContract, SandboxHarness, Trouble
from telco_bridge_signalwire.emulator import SignalWireEmulator

OPERATIONS: dict[type[Command], str] = {
    Dial: "POST Calls",
    HangUp: "POST Calls/{sid}",
    SendDigits: "POST Calls/{sid}",
}


NUMBER = "+15550000002"


class _Listening(SandboxHarness):
    async def press(self, call: Call, digits: str) -> None:
        # Keys that are pressed before the call has come for its document are heard by nobody.
        assert self.emulator is not None
        wire = self.emulator.wire
        while not any(record.fields["CallSid"] == call.native_id for record in wire.records(containing="document")):
            await anyio.lowlevel.checkpoint()
        await super().press(call, digits)


class TestSignalWire(ProviderContract):
    @pytest.fixture
    def harness(self, sandbox: Sandbox) -> Iterator[Harness]:
        # A phone number points to an address that is known before the bridge is there.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            listen = f"127.0.0.1:{free.getsockname()[1]}"
        emulator = sandbox.emulators["signalwire"]
        assert isinstance(emulator, SignalWireEmulator)
        # When the bridge is gone, calls that ring are the fallback's, as they would be on SignalWire.
        ringing = emulator.add_bin('<Response><Pause length="60"/></Response>')
        emulator.own(NUMBER, voice_url=f"http://{listen}/voice", fallback_url=ringing)
        with _Listening(
            "signalwire",
            operations=OPERATIONS,
            events="callback",
            settings={"web": {"listen": listen}, "hear_digits": True, "hold_by_conference": True},
            number=NUMBER,
            sandbox=sandbox,
        ) as harness:
            harness.clock = NetworkClock(speed=5)
            yield harness


NOTHING_BROUGHT = "without a public URL SignalWire cannot bring audio to the bridge"
NOTHING_FETCHED = "without a public URL SignalWire cannot fetch a document from the bridge"
DOCUMENTED = (
    Capability.ANSWER,
    Capability.REJECT,
    Capability.REDIRECT,
    Capability.HOLD,
    Capability.RESUME,
    Capability.SEND_DIGITS,
    Capability.HEAR_DIGITS,
    Capability.SAY,
    Capability.PLAY,
    Capability.TRANSFER,
)
NOTHING_TOLD = "without a public URL nothing is told: the bridge asks"


class TestSignalWireByPolling(ProviderContract):
    @pytest.fixture
    def harness(self, sandbox: Sandbox) -> Iterator[Harness]:
        untold: tuple[Trouble, ...] = (
            Trouble.EVENTS_LOST,
            Trouble.EVENTS_DOUBLED,
            Trouble.EVENTS_DISORDERED,
            Trouble.EVENT_EARLY,
            Trouble.EVENT_FORGED,
        )
        with SandboxHarness(
            "signalwire",
            title="signalwire-polling",
            operations=OPERATIONS,
            events="GET Calls/{sid}",
            settings={"poll_interval": 0.2},
            impossible=dict.fromkeys(untold, NOTHING_TOLD),
            lacks={
                **dict.fromkeys((Capability.RECEIVE_AUDIO, Capability.SEND_AUDIO), NOTHING_BROUGHT),
                **dict.fromkeys(DOCUMENTED, NOTHING_FETCHED),
            },
            sandbox=sandbox,
        ) as harness:
            harness.clock = NetworkClock(speed=5)
            yield harness
