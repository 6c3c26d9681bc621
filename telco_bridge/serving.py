"""Serving an ASGI application on loopback from a thread of its own, so that it works beside asyncio and trio alike."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Server"]


class Server:
    """An HTTP server in its own thread, from entering to leaving. Port 0 takes a free one.

    `started` runs in the server's loop before the first request, `stopped` after the last. Raises `OSError` where the
    address cannot be bound.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        started: Callable[[str], Awaitable[None]] | None = None,
        stopped: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._app = app
        self._host = host
        self._wanted_port = port
        self._started = started
        self._stopped = stopped
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.port = 0
        """The port in use, once entered."""

    @property
    def url(self) -> str:
        """Where it is served, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bind, start the thread, and return when requests are answered."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # With the protocol named, the event loop sets TCP_NODELAY; without it every small answer waits some 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._wanted_port))
        except BaseException:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener)), name=f"telco-bridge-server-{self.port}", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(timeout=10.0):
            self.stop()
            raise TimeoutError(f"the server at {self.url} did not start within 10 s")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop serving; open requests are cut off after a moment. Safe to call twice."""
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is None or stop is None or thread is None:
            return
        self._loop = None
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10.0)

    async def _serve(self, listener: socket.socket) -> None:
        import uvicorn

        from .mediaserver import MediaProtocol
        from .mediasocket import MAX_MESSAGE

        try:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            config = uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
                ws=MediaProtocol,
                ws_max_size=MAX_MESSAGE,
                ws_per_message_deflate=False,
            )
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                if serving.done():
                    await serving
                    raise RuntimeError("the server stopped before it had started")
                await asyncio.sleep(0.001)
            if self._started is not None:
                await self._started(self.url)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that called start()
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        try:
            if self._stopped is not None:
                await self._stopped()
        finally:
            # Python leaves a connection open for ever that is accepted in the moment in which its server closes. So no
            # more are accepted from here on, and those that were get the turns of the loop that they need to arrive.
            with suppress(NotImplementedError):
                asyncio.get_running_loop().remove_reader(listener)
            await _turns()
            server.should_exit = True
            await serving
        # What has been closed last is gone after as many.
        await _turns()


async def _turns() -> None:
    """Let what is under way in the loop get where it is going."""
    for _ in range(3):
        await asyncio.sleep(0)
