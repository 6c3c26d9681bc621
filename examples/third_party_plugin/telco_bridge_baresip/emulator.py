"""The simulated network by SIP: what a real softphone calls when nobody else is there to be called.

Unlike other emulators it stands not for the provider, which is a real baresip, but for everybody at the other end.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field

from telco_bridge.sandbox import Emulator, Exchange, Leg, LegEvent, LegState, Side, WireRecord
from telco_bridge.sandbox.emulator import ASGIApp

from . import sip
from .config import PROVIDER

__all__ = ["BaresipEmulator"]

_HOST = "127.0.0.1"
_HELD = ("sendonly", "inactive")
_TURNED = {"sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(eq=False)
class _Dialog:
    """One call of baresip's, and the network's end of it."""

    invitation: sip.Request
    peer: tuple[str, int]
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    leg: Leg | None = None
    final: bool = False
    """Whether the invitation has its final answer."""


class BaresipEmulator(Emulator):
    """A SIP proxy on loopback before the network: whatever address baresip calls, the directory's party is there."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._dialogs: dict[str, _Dialog] = {}
        self._signalling: asyncio.DatagramTransport | None = None
        self._audio: asyncio.DatagramTransport | None = None

    @property
    def app(self) -> ASGIApp:
        """Nothing: this network is not reached by HTTP."""
        return _nothing_here

    def profile(self) -> dict[str, object]:
        """Settings of a baresip that sends every call here. Valid once it is served."""
        here = f"{_HOST}:{_port(self._signalling)}"
        return {"provider": PROVIDER, "domain": here, "outbound": f"sip:{here}"}

    async def started(self, url: str) -> None:
        await super().started(url)
        loop = asyncio.get_running_loop()
        self._signalling, _ = await loop.create_datagram_endpoint(lambda: _Signalling(self), (_HOST, 0))
        # Nobody listens; but somebody must be there, or baresip would be told that its audio is not wanted.
        self._audio, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, (_HOST, 0))

    async def stopped(self) -> None:
        await super().stopped()
        for transport in (self._signalling, self._audio):
            if transport is not None:
                transport.close()

    def take(self, request: sip.Request, peer: tuple[str, int]) -> None:
        """Do what baresip asks."""
        dialog = self._dialogs.get(request.call_id)
        if request.method == "INVITE" and dialog is None and not request.in_dialog:
            self._invite(request, peer)
        elif dialog is not None and dialog.leg is not None and request.method != "ACK":
            self._in_call(dialog, dialog.leg, request)
        elif request.method not in ("ACK", "INVITE"):
            self._tell(peer, sip.answer(request, 481, "Call/Transaction Does Not Exist", tag="none"))

    def _invite(self, request: sip.Request, peer: tuple[str, int]) -> None:
        dialog = self._dialogs[request.call_id] = _Dialog(request, peer)
        self._note("bridge", f"INVITE {request.callee}")
        self._tell(peer, sip.answer(request, 100, "Trying", tag=dialog.tag))

        def watch(leg: Leg, event: LegEvent) -> None:
            self.post(lambda: self._follow(dialog, leg, event))

        dialog.leg = self.exchange.call(caller=request.caller, callee=request.callee, watcher=watch)

    def _in_call(self, dialog: _Dialog, leg: Leg, request: sip.Request) -> None:
        sdp = ""
        if request.method == "INVITE":
            if not request.in_dialog:
                # Again the first one: its answer is on its way.
                return
            leg.set_held(request.way in _HELD)
            sdp = self._description(_TURNED.get(request.way, request.way))
        self._note("bridge", request.method)
        contact = self._contact if request.method == "INVITE" else ""
        self._tell(dialog.peer, sip.answer(request, 200, "OK", tag=dialog.tag, contact=contact, sdp=sdp))
        if request.method in ("CANCEL", "BYE"):
            leg.hang_up(by=leg.ours)

    def _follow(self, dialog: _Dialog, leg: Leg, event: LegEvent) -> None:
        """Tell baresip what the far end and the network do."""
        if event is LegEvent.RINGING and leg.state is LegState.RINGING:
            self._answer(dialog, 180, "Ringing")
        elif event is LegEvent.ANSWERED and leg.state is not LegState.DOWN:
            dialog.final = True
            self._answer(dialog, 200, "OK", contact=self._contact, sdp=self._description("sendrecv"))
        elif event is LegEvent.CLEARED and leg.clearing is not None:
            del self._dialogs[dialog.invitation.call_id]
            if not dialog.final:
                self._answer(dialog, leg.clearing.sip, leg.clearing.phrase)
            elif leg.clearing.by is not Side.CALLER:
                self._note("provider", "BYE")
                here = f"{_HOST}:{_port(self._signalling)}"
                branch = secrets.token_hex(8)
                self._tell(dialog.peer, sip.bye(dialog.invitation, tag=dialog.tag, branch=branch, host=here))

    def _answer(self, dialog: _Dialog, status: int, phrase: str, *, contact: str = "", sdp: str = "") -> None:
        self._note("provider", f"{status} {phrase}")
        self._tell(dialog.peer, sip.answer(dialog.invitation, status, phrase, tag=dialog.tag, contact=contact, sdp=sdp))

    @property
    def _contact(self) -> str:
        return f"sip:sandbox@{_HOST}:{_port(self._signalling)}"

    def _description(self, way: str) -> str:
        return sip.description(_HOST, _port(self._audio), way)

    def _tell(self, peer: tuple[str, int], message: bytes) -> None:
        if self._signalling is not None:
            self._signalling.sendto(message, peer)

    def _note(self, sent_by: str, line: str) -> None:
        self.wire.add(WireRecord(self.exchange.now(), sent_by, line))


class _Signalling(asyncio.DatagramProtocol):
    def __init__(self, emulator: BaresipEmulator) -> None:
        self._emulator = emulator

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = sip.read(data)
        if request is not None:
            self._emulator.take(request, addr)


def _port(transport: asyncio.DatagramTransport | None) -> int:
    return transport.get_extra_info("sockname")[1] if transport is not None else 0


async def _nothing_here(
    scope: MutableMapping[str, object], receive: object, send: Callable[[MutableMapping[str, object]], Awaitable[None]]
) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1008})
