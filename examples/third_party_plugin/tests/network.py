"""A telephone network on loopback: far ends that are `sipp` processes, and a bystander who counts their calls.

Every far end has a line: a UDP port that is called, and behind it a `sipp` of its own with one of the scenarios in
`scenarios/`. What passes the line is forwarded as it is, and noted: so it is known which calls were placed and which
are up, whatever either side believes. Their audio goes to one RTP endpoint, which records it for each call.
"""

from __future__ import annotations

import secrets
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import anyio.to_thread

from . import rtp, sip
from .far_ends import HERE, PATIENCE, Far, Sipp
from .legs import Address, Leg, LegState

if TYPE_CHECKING:
    from typing import Self

__all__ = ["PATIENCE", "Far", "Leg", "LegState", "SipNetwork"]

_SETTLE = 0.5
"""Seconds that messages may be on their way."""
_QUIET = 0.25
"""Seconds after which nobody is pressing keys any more."""


@dataclass(eq=False)
class _Line:
    """The way to one far end: `outside` is called, `inside` speaks with its sipp."""

    far: Far
    outside: socket.socket
    inside: socket.socket
    sipp: Sipp | None = None
    peers: dict[str, Address] = field(default_factory=dict[str, Address])
    """For each Call-ID: the address of the bridge's side."""


class SipNetwork:
    """Enter it (`with SipNetwork() as network:`). All methods may be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._legs: dict[str, Leg] = {}
        self._lines: dict[Far, _Line] = {}
        self._selector = selectors.DefaultSelector()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="sip network", daemon=True)
        self._trace: list[str] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="sip-network-")
        self._audio = _udp()
        self._selector.register(self._audio, selectors.EVENT_READ, self._hear)
        for far in Far:
            line = self._lines[far] = _Line(far, _udp(), _udp())
            self._selector.register(line.outside, selectors.EVENT_READ, self._from_near(line))
            self._selector.register(line.inside, selectors.EVENT_READ, self._from_far(line))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join(PATIENCE)
        for line in self._lines.values():
            if line.sipp is not None:
                line.sipp.stop()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        self._folder.cleanup()

    # What is seen -------------------------------------------------------------------------------------------------

    @property
    def legs(self) -> tuple[Leg, ...]:
        """All calls since the beginning of the test, in the order in which they were placed."""
        with self._changed:
            return tuple(self._legs.values())

    @property
    def live(self) -> tuple[Leg, ...]:
        """The calls that ring or are up."""
        return tuple(leg for leg in self.legs if leg.live)

    @property
    def processes(self) -> tuple[int, ...]:
        """The sipp processes that run."""
        return tuple(line.sipp.process.pid for line in self._lines.values() if line.sipp is not None)

    @property
    def trace(self) -> str:
        """The first lines of all messages of the test, for whoever wonders why it failed."""
        return "\n".join(self._trace)

    def leg(self, call_id: str | None) -> Leg:
        """Return the call with that identity, as soon as it is known here."""
        self.wait(lambda: call_id in self._legs)
        return self._legs[call_id or ""]

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until that is so. Raises `AssertionError` with what was seen, where it never is."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise AssertionError(f"it did not come to that within {seconds:g} s. What was seen:\n{self.trace}")

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until that is so, and let others work meanwhile. Raises as `wait`."""
        await anyio.to_thread.run_sync(self.wait, condition, seconds)

    def settled(self) -> int:
        """How many calls ring or are up, after what is on its way has arrived."""
        with self._changed:
            self._changed.wait_for(lambda: not any(leg.live for leg in self._legs.values()), _SETTLE)
        return len(self.live)

    def pressed(self, leg: Leg) -> str:
        """Return the keys that the far end has heard, as soon as no more come."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            quiet = time.monotonic()
            keys = leg.keys
            while time.monotonic() - quiet < _QUIET and time.monotonic() < deadline:
                self._changed.wait(_QUIET)
                if leg.keys != keys:
                    quiet, keys = time.monotonic(), leg.keys
        return keys

    # What is done -------------------------------------------------------------------------------------------------

    def address(self, far: Far) -> str:
        """Return the address of the far end, and see to it that there is somebody."""
        line = self._lines[far]
        port = int(line.outside.getsockname()[1])
        if line.sipp is None and Sipp.exists(far):
            audio = int(self._audio.getsockname()[1])
            line.sipp = Sipp(far, Path(self._folder.name) / far, relay=port, audio=audio)
        return f"sip:{far}@{HERE}:{port}"

    def call(self, to: str, *, name: str = "Bob") -> Leg:
        """Let somebody call that address."""
        self.address(Far.CALLER)
        line = self._lines[Far.CALLER]
        host, _, port = to.partition("@")[2].partition(";")[0].rpartition(":")
        leg = Leg(f"in-{secrets.token_hex(8)}", Far.CALLER)
        with self._changed:
            self._legs[leg.id] = leg
            line.peers[leg.id] = (host, int(port))
        caller = f'"{name}" <sip:bob@{HERE}:{line.outside.getsockname()[1]}>;tag={secrets.token_hex(4)}'
        self._tell(line, leg, caller, f"<{to}>")
        return leg

    def hang_up(self, leg: Leg) -> None:
        """Let the far end hang up, or give up."""
        self._tell(self._lines[leg.far], leg, f"<sip:relay@{HERE}>;tag=relay", f"<sip:far@{HERE}>")

    async def speak(self, leg: Leg, frequency: float, seconds: float) -> None:
        """Let the far end say a tone; return when it has been said."""
        await anyio.to_thread.run_sync(self._send, leg, rtp.Sender(secrets.randbits(32)).speak(frequency, seconds))

    async def press(self, leg: Leg, keys: str) -> None:
        """Let the far end press keys; return when it has."""
        await anyio.to_thread.run_sync(self._send, leg, rtp.Sender(secrets.randbits(32)).press(keys))

    def begin(self) -> None:
        """Forget all calls; far ends that are in one still are told to leave it."""
        for leg in self.live:
            if leg.state is not LegState.PLACED or leg.far is Far.CALLER:
                self.hang_up(leg)
        with self._changed:
            self._legs.clear()
            self._trace.clear()

    # How ----------------------------------------------------------------------------------------------------------

    def _tell(self, line: _Line, leg: Leg, from_: str, to: str) -> None:
        """Send the far end an INFO in its call, which its scenario takes for an order."""
        assert line.sipp is not None, f"nobody works as {line.far}"
        lines = (
            f"INFO sip:far@{HERE} SIP/2.0",
            f"Via: SIP/2.0/UDP {HERE}:{line.inside.getsockname()[1]};branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: {from_}",
            f"To: {to}",
            f"Call-ID: {leg.id}",
            "CSeq: 1 INFO",
            "Max-Forwards: 70",
            "Content-Length: 0",
        )
        line.inside.sendto("\r\n".join((*lines, "", "")).encode("utf-8"), line.sipp.address)

    def _send(self, leg: Leg, packets: Iterable[bytes]) -> None:
        assert leg.audio is not None, "nobody has said where audio goes"
        due = time.monotonic()
        for packet in packets:
            self._audio.sendto(packet, leg.audio)
            due += rtp.TICK
            # The pace of the stream, not a wait for anything.
            self._closing.wait(max(0.0, due - time.monotonic()))

    def _serve(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                receive: Callable[[bytes, Address], None] = key.data
                try:
                    data, sender = key.fileobj.recvfrom(65535)
                except OSError:
                    # The other side of an earlier packet is not there any more.
                    continue
                receive(data, sender)

    def _from_near(self, line: _Line) -> Callable[[bytes, Address], None]:
        def receive(data: bytes, sender: Address) -> None:
            message = sip.read(data)
            if message is None:
                return
            line.peers[message.call_id] = sender
            if line.sipp is not None:
                line.inside.sendto(data, line.sipp.address)
            # Only then: whoever sees it may give orders, which must not overtake it.
            self._note(line, message, near=True)

        return receive

    def _from_far(self, line: _Line) -> Callable[[bytes, Address], None]:
        def receive(data: bytes, sender: Address) -> None:
            message = sip.read(data)
            if message is None or message.method == "INFO":
                return
            peer = line.peers.get(message.call_id)
            if peer is not None:
                line.outside.sendto(data, peer)
            self._note(line, message, near=False)

        return receive

    def _note(self, line: _Line, message: sip.Message, *, near: bool) -> None:
        with self._changed:
            arrow = "bridge →" if near else "bridge ←"
            self._trace.append(f"{arrow} {line.far}: {message.status or ''} {message.method} {message.call_id}")
            leg = self._legs.get(message.call_id)
            if leg is None:
                if not (near and message.begins):
                    return
                leg = self._legs[message.call_id] = Leg(message.call_id, line.far)
            leg.note(message, near=near)
            self._changed.notify_all()

    def _hear(self, data: bytes, sender: Address) -> None:
        packet = rtp.read(data)
        if packet is None:
            return
        with self._changed:
            leg = next((leg for leg in reversed(self._legs.values()) if leg.audio == sender), None)
            if leg is not None:
                leg.heard.append(packet)
                self._changed.notify_all()


def _udp() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind((HERE, 0))
    return found
