"""Stands before baresip's control port, and loses, doubles, delays and garbles what passes when it is told to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, cast

from telco_bridge_baresip.wire import Frames, frame

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ControlProxy", "Fault"]

_CHANGING = frozenset({"accept", "dial", "hangup", "hold", "mute", "resume", "sndcode"})
_HELD = 0.1
"""Seconds for which something is held back at most."""
_PATIENCE = 10.0
_GARBAGE = b"\xff} no JSON at all {"
_STRANGE = "CALL_TELEPORTED"


class Fault(StrEnum):
    """What can go wrong with what passes."""

    LOSE_REQUEST = "lose_request"
    LOSE_REPLY = "lose_reply"
    GARBLE_REPLY = "garble_reply"
    LATE_REPLY = "late_reply"
    """A reply comes after the next event that names a call."""
    LOSE_EVENT = "lose_event"
    DOUBLE_EVENT = "double_event"
    SWAP_EVENTS = "swap_events"
    """An event comes after the next one."""
    GARBLE_EVENT = "garble_event"
    RENAME_EVENT = "rename_event"
    """An event that tells of ringing has a name that nobody knows."""


@dataclass(eq=False)
class _Order:
    fault: Fault
    on: str | None
    left: int | None


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    unanswered: int = 0

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class ControlProxy:
    """Enter it (`with ControlProxy(port) as proxy:`). All methods may be used from any thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Condition()
        self._orders: list[_Order] = []
        self._connections: list[_Connection] = []
        self._threads: list[threading.Thread] = []
        self._tokens: dict[str, str] = {}
        self._door: socket.socket | None = None
        self._address = ("127.0.0.1", 0)
        self.commands: list[tuple[str, str]] = []
        """Everything that was asked through it, in order."""
        self.overlaps = 0
        """How many questions came while another one was not answered yet."""
        self.made: list[Fault] = []
        """Everything that went wrong, in order."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for thread in self._threads:
            thread.join(5.0)

    @property
    def address(self) -> str:
        """Where it is reached, as host:port."""
        return f"{self._address[0]}:{self._address[1]}"

    @property
    def changes(self) -> int:
        """How many commands have come that change something."""
        with self._lock:
            return sum(command in _CHANGING for command, _ in self.commands)

    def open(self) -> None:
        """Let clients in."""
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(self._address)
        door.listen()
        self._door, self._address = door, door.getsockname()
        self._start(self._accept, door)

    def close(self) -> None:
        """Let no client in, and cut off whoever is in."""
        door, self._door = self._door, None
        if door is not None:
            with suppress(OSError):
                # Closing alone would not wake whoever waits for clients.
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        self.cut()

    def cut(self) -> None:
        """Cut off whoever is in."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def inject(self, fault: Fault, *, on: str | None = None, times: int | None = 1) -> None:
        """Make that fault the next so many times (None: always); where it is one of requests, only on that command."""
        with self._lock:
            self._orders.append(_Order(fault, on, times))

    def await_question(self, command: str, times: int) -> None:
        """Wait until that has been asked so many times. Raises `AssertionError` where it never is."""
        with self._lock:
            asked = self._lock.wait_for(lambda: [word for word, _ in self.commands].count(command) >= times, _PATIENCE)
        assert asked, f"{command} was not asked {times} times, but: {self.commands}"

    def calm(self) -> None:
        """Make no more faults."""
        with self._lock:
            self._orders.clear()

    # How ----------------------------------------------------------------------------------------------------------

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="control proxy", daemon=True)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        self._threads.append(thread)
        thread.start()

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port), 2.0)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.settimeout(None)
            connection = _Connection(client, server)
            with self._lock:
                self._connections.append(connection)
            self._start(self._ask, connection)
            self._start(self._tell, connection)

    def _take(self, fault: Fault, on: str | None = None) -> bool:
        """Whether that fault is to be made now."""
        with self._lock:
            for order in self._orders:
                if order.fault is fault and order.on in (None, on) and order.left != 0:
                    if order.left is not None:
                        order.left -= 1
                    self.made.append(fault)
                    return True
        return False

    def _ask(self, connection: _Connection) -> None:
        frames = Frames()
        with suppress(OSError):
            while data := connection.client.recv(65536):
                for payload in frames.feed(data):
                    request = cast("dict[str, str]", json.loads(payload))
                    command = request.get("command", "")
                    with self._lock:
                        self.overlaps += connection.unanswered > 0
                        connection.unanswered += 1
                        self.commands.append((command, request.get("params", "")))
                        self._lock.notify_all()
                        self._tokens[request.get("token", "")] = command
                    if not self._take(Fault.LOSE_REQUEST, command):
                        connection.server.sendall(frame(payload))
        connection.close()

    def _tell(self, connection: _Connection) -> None:
        """Pass on what baresip says. What is held back follows the next event, or nothing for a while."""
        frames, held = Frames(), list[bytes]()
        with suppress(OSError):
            while True:
                connection.server.settimeout(_HELD if held else None)
                try:
                    data = connection.server.recv(65536)
                except TimeoutError:
                    _send(connection, held)
                    continue
                if not data:
                    break
                for payload in frames.feed(data):
                    message = cast("dict[str, object]", json.loads(payload.decode("utf-8", "replace"), strict=False))
                    if message.get("response") is True:
                        self._reply(connection, message, payload, held)
                    else:
                        self._event(connection, message, payload, held)
        connection.close()

    def _reply(self, connection: _Connection, message: dict[str, object], payload: bytes, held: list[bytes]) -> None:
        command = self._tokens.get(str(message.get("token")), "")
        if self._take(Fault.LOSE_REPLY, command):
            return
        if self._take(Fault.GARBLE_REPLY, command):
            payload = _GARBAGE
        if self._take(Fault.LATE_REPLY, command):
            held.append(payload)
        else:
            _send(connection, [payload])

    def _event(self, connection: _Connection, message: dict[str, object], payload: bytes, held: list[bytes]) -> None:
        if self._take(Fault.LOSE_EVENT):
            return
        if message.get("type") == "CALL_RINGING" and self._take(Fault.RENAME_EVENT):
            payload = json.dumps({**message, "type": _STRANGE}).encode()
        elif self._take(Fault.GARBLE_EVENT):
            payload = _GARBAGE
        if not held and self._take(Fault.SWAP_EVENTS):
            held.append(payload)
            return
        _send(connection, [payload, payload] if self._take(Fault.DOUBLE_EVENT) else [payload])
        if message.get("id"):
            _send(connection, held)


def _send(connection: _Connection, payloads: Sequence[bytes]) -> None:
    for payload in payloads:
        if b'"response":true' in payload:
            connection.unanswered -= 1
        connection.client.sendall(frame(payload))
    if isinstance(payloads, list):
        payloads.clear()
