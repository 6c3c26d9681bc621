"""The provider keeps the contract, over real calls."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping

import anyio.to_thread
import pytest
from telco_bridge import Call
from telco_bridge.provider import Answer, Command, Dial, HangUp, Hold, Mute, Reject, Resume, SendDigits, Unmute
from telco_bridge.testing import Caller, FarEnd, Harness, ProviderContract, Trouble

from telco_bridge_baresip.plugin import telco_bridge_provider

from .control_proxy import ControlProxy, Fault
from .network import Far, Leg, LegState, SipNetwork
from .phone import Phone

_FAR_ENDS = {
    FarEnd.ANSWERS: Far.ANSWERS,
    FarEnd.HANGS_UP: Far.HANGS_UP,
    FarEnd.RINGS: Far.RINGS,
    FarEnd.BUSY: Far.BUSY,
    FarEnd.DECLINES: Far.DECLINES,
    FarEnd.UNALLOCATED: Far.NOT_FOUND,
}
_FAULTS = {
    Trouble.REQUEST_LOST: Fault.LOSE_REQUEST,
    Trouble.ANSWER_LOST: Fault.LOSE_REPLY,
    Trouble.ANSWER_GARBLED: Fault.GARBLE_REPLY,
    Trouble.EVENTS_LOST: Fault.LOSE_EVENT,
    Trouble.EVENTS_DOUBLED: Fault.DOUBLE_EVENT,
    Trouble.EVENTS_DISORDERED: Fault.SWAP_EVENTS,
    Trouble.EVENT_EARLY: Fault.LATE_REPLY,
    Trouble.STATE_UNKNOWN: Fault.RENAME_EVENT,
}
_WORDS: dict[type[Command], str] = {
    Dial: "dial",
    HangUp: "hangup",
    Reject: "hangup",
    Answer: "accept",
    Hold: "hold",
    Resume: "resume",
    Mute: "mute",
    Unmute: "mute",
    SendDigits: "sndcode",
}


class BaresipHarness(Harness):
    """A baresip that runs, with a proxy before its control port, and far ends that sipp plays."""

    impossible: Mapping[Trouble, str] = {
        Trouble.RATE_LIMITED: "baresip refuses nothing because it came too soon",
        Trouble.EVENT_FORGED: "whoever reaches the control port is believed: it has no secrets and no signatures",
    }

    def __init__(self, network: SipNetwork, phone: Phone, proxy: ControlProxy) -> None:
        self._network = network
        self._phone = phone
        self._proxy = proxy
        self._plugin = telco_bridge_provider()
        self._changes = 0
        self._injected: list[tuple[Trouble, int]] = []

    @property
    def settings(self) -> Mapping[str, object]:
        return {
            "provider": self._plugin,
            "control": self._proxy.address,
            "timeout": 0.5,
            "start_timeout": 2.0,
        }

    def address(self, far_end: FarEnd) -> str:
        return self._network.address(_FAR_ENDS[far_end])

    def begin(self) -> None:
        self._proxy.calm()
        if self._network.live:
            # A call that nobody here knows any more is not the next test's.
            self._proxy.cut()
            self._phone.kill()
            self._phone.start()
        self._network.begin()
        self._changes = self._proxy.changes
        self._injected.clear()

    def placed(self) -> int:
        return sum(leg.far is not Far.CALLER for leg in self._network.legs)

    def up(self) -> int:
        return self._network.settled()

    def sent(self) -> int:
        return self._proxy.changes - self._changes

    async def inject(self, trouble: Trouble, *, on: type[Command] | None = None, times: int | None = 1) -> None:
        self._injected.append((trouble, len(self._proxy.made)))
        self._proxy.inject(_FAULTS[trouble], on=_WORDS[on] if on is not None else None, times=times)

    async def calm(self) -> None:
        self._proxy.calm()

    def unmade(self) -> Collection[Trouble]:
        made = self._proxy.made
        return [trouble for trouble, before in self._injected if _FAULTS[trouble] not in made[before:]]

    def nowhere(self) -> Mapping[str, object]:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
        return {**self.settings, "control": f"127.0.0.1:{port}"}

    async def call_in(self) -> Caller:
        leg = await anyio.to_thread.run_sync(self._network.call, self._phone.address)
        return _Bob(self._network, leg)

    async def press(self, call: Call, digits: str) -> None:
        await self._network.press(self._network.leg(call.native_id), digits)

    def heard(self, call: Call) -> str:
        return self._network.pressed(self._network.leg(call.native_id))


class _Bob:
    def __init__(self, network: SipNetwork, leg: Leg) -> None:
        self._network = network
        self._leg = leg

    async def hang_up(self) -> None:
        # The bridge may know that it rings before the caller does.
        await self._network.until(lambda: self._leg.state is not LegState.PLACED)
        self._network.hang_up(self._leg)


class TestBaresip(ProviderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, sip_network: SipNetwork) -> Iterator[Harness]:
        with Phone() as phone, ControlProxy(phone.control) as proxy:
            yield BaresipHarness(sip_network, phone, proxy)
