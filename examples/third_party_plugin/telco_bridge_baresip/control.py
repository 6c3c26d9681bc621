"""The one client of baresip's control port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteStream, SocketAttribute
from telco_bridge.provider import AnswerLost, NotSent, Refused

from .config import PROVIDER
from .wire import Event, Frames, Message, Reply, Unreadable, read_message, request

__all__ = ["Control"]

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)
_CHUNK = 65536
_GREETING = "greeting"


@dataclass(slots=True, eq=False)
class _Question:
    """A command that waits for its reply."""

    answered: anyio.Event = field(default_factory=anyio.Event)
    reply: Reply | None = None
    trouble: str = ""


class Control:
    """Asks commands and hears events over one connection at a time.

    baresip shuts out its client when another one comes, so there is never a second connection, and no command is on its
    way while another is: `ask` is called under a lock that belongs to the caller. `hear` must be running meanwhile.
    """

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._stream: ByteStream | None = None
        self._frames = Frames()
        self._backlog: list[Message | Unreadable] = []
        self._question: tuple[str, _Question] | None = None
        self._asked = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._stream is not None

    async def open(self, host: str, port: int) -> Reply:
        """Connect, and return what baresip says about its accounts. Raises `NotSent` where it is not there."""
        await self.close()
        where = f"the control port {host}:{port}"
        try:
            with anyio.fail_after(self._timeout):
                stream = await anyio.connect_tcp(host, port)
        except (OSError, TimeoutError) as error:
            raise NotSent(f"{where} cannot be reached: {error or 'no answer'}", provider=PROVIDER) from error
        self._stream, self._frames, self._backlog = stream, Frames(), []
        return await self.greet()

    async def greet(self) -> Reply:
        """Return what baresip says about its accounts, while nobody hears yet. Raises `NotSent` where it does not."""
        stream = self._stream
        if stream is None:
            raise NotSent("there is no connection to baresip's control port", provider=PROVIDER)
        try:
            with anyio.fail_after(self._timeout):
                return await self._greeting(stream)
        except (TimeoutError, Unreadable, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            await self.close()
            raise NotSent("what answers does not speak as baresip's module ctrl_tcp does", provider=PROVIDER) from error
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    async def close(self) -> None:
        """Give the connection up. Whoever waits for a reply is told that it is lost."""
        stream, self._stream = self._stream, None
        self._lose("the connection was closed")
        if stream is not None:
            # Without a farewell: there is nothing to flush, and the other end may be gone.
            await anyio.aclose_forcefully(stream)

    async def ask(self, command: str, params: str | None = None) -> Reply:
        """Send one command and return its reply, whether it says ok or not.

        Raises `NotSent` where there is no connection, `AnswerLost` where no readable reply came in time.
        """
        stream = self._stream
        if stream is None:
            raise NotSent(f"{command}: there is no connection to baresip's control port", provider=PROVIDER)
        self._asked += 1
        token = str(self._asked)
        try:
            line = request(command, params, token)
        except Unreadable as error:
            raise Refused(f"{command}: {error}. Nothing was sent.", provider=PROVIDER) from error
        question = _Question()
        self._question = (token, question)
        try:
            with anyio.fail_after(self._timeout):
                await stream.send(line)
                await question.answered.wait()
        except TimeoutError:
            question.trouble = f"no reply within {self._timeout:g} s"
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            question.trouble = "the connection broke"
        finally:
            self._question = None
        if question.reply is None:
            raise AnswerLost(f"{command}: {question.trouble}. It may have been done.", provider=PROVIDER)
        return question.reply

    async def hear(self, heard: Callable[[Event | Unreadable], None]) -> str:
        """Hand over every event, and what cannot be read, until the connection ends; return why it did."""
        stream = self._stream
        if stream is None:
            return "there is no connection"
        backlog, self._backlog = self._backlog, []
        for message in backlog:
            self._take(message, heard)
        try:
            while True:
                data = await _receive(stream)
                for message in self._read(data):
                    self._take(message, heard)
        except Unreadable as error:
            return f"what came is no netstring: {error}"
        except anyio.EndOfStream:
            return "the control connection was closed"
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return "the control connection broke"
        finally:
            with anyio.CancelScope(shield=True):
                await self.close()

    async def _greeting(self, stream: ByteStream) -> Reply:
        """Ask something harmless, and keep what else comes for whoever hears."""
        await stream.send(request("reginfo", None, _GREETING))
        while True:
            reply: Reply | None = None
            for message in self._read(await _receive(stream)):
                if isinstance(message, Unreadable):
                    raise message
                if isinstance(message, Reply) and message.token == _GREETING:
                    reply = message
                else:
                    self._backlog.append(message)
            if reply is not None:
                return reply

    def _read(self, data: bytes) -> list[Message | Unreadable]:
        messages: list[Message | Unreadable] = []
        for payload in self._frames.feed(data):
            try:
                messages.append(read_message(payload))
            except Unreadable as error:
                messages.append(error)
        return messages

    def _take(self, message: Message | Unreadable, heard: Callable[[Event | Unreadable], None]) -> None:
        if isinstance(message, Event):
            heard(message)
        elif isinstance(message, Unreadable):
            # It may have been the reply.
            self._lose(f"something came that cannot be read: {message}")
            heard(message)
        elif self._question is not None and message.token in (self._question[0], None):
            _, question = self._question
            question.reply = message
            question.answered.set()

    def _lose(self, trouble: str) -> None:
        if self._question is not None:
            _, question = self._question
            if not question.answered.is_set():
                question.trouble = trouble
                question.answered.set()


async def _receive(stream: ByteStream) -> bytes:
    data = await stream.receive(_CHUNK)
    if _QUICK_ACK is not None:
        # baresip sends a reply only after its events were acknowledged, which the kernel puts off for 40 ms.
        connection: socket.socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not the one of Django
        connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
    return data
