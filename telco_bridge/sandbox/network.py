"""The sandbox: one exchange, and any number of providers' emulators in front of it."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from .. import _discovery
from ..errors import NotPossibleNow, Unsupported
from ..serving import Server
from .emulator import Emulator
from .exchange import Exchange
from .sink import StreamSink

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Sandbox"]


class Sandbox:
    """A simulated phone network, served on loopback in threads of its own from entering to leaving.

    Each named provider's emulator gets a port (`ports`, else a free one); `simulator` needs none. `speed` makes the
    network's time run faster. Raises `PluginError` for an unknown provider, `Unsupported` for one without an emulator.
    """

    def __init__(
        self,
        *providers: str,
        speed: float = 1.0,
        name: str | None = None,
        ports: dict[str, int] | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self.exchange = exchange if exchange is not None else Exchange(name=name, speed=speed)
        self.sink = StreamSink()
        """Where emulated media streams can be sent: it takes every WebSocket and remembers what came."""
        self.emulators: dict[str, Emulator] = {}
        self._providers = providers
        self._ports = ports or {}
        self._servers: dict[str, Server] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.exchange)
            sink, port = self.sink, self._ports.get("sink", 0)
            stack.enter_context(Server(sink, port=port, started=sink.started, stopped=sink.stopped))
            for provider in self._providers:
                if provider != "simulator":
                    self._serve(provider, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _serve(self, provider: str, stack: ExitStack) -> None:
        plugin = _discovery.load(provider)
        if plugin.emulator is None:
            raise Unsupported(f"provider {provider!r} brings no emulator")
        emulator = plugin.emulator(self.exchange)
        emulator.stream_url = self.sink.url
        port = self._ports.get(provider, 0)
        server = Server(emulator.app, port=port, started=emulator.started, stopped=emulator.stopped)
        self._servers[provider] = stack.enter_context(server)
        self.emulators[provider] = emulator

    def stop(self, provider: str) -> None:
        """Let that provider's host go down, as hosts do. The network, and the calls in it, go on."""
        self._known(provider)
        self._servers[provider].stop()

    def profile(self, provider: str) -> dict[str, object]:
        """The settings that connect that provider's plugin to this sandbox."""
        if provider == "simulator":
            return {"provider": "simulator", "exchange": self.exchange}
        self._known(provider)
        return self.emulators[provider].profile()

    def _known(self, provider: str) -> None:
        if provider not in self.emulators:
            served = ", ".join(sorted(self.emulators)) or "none; enter the sandbox first"
            raise NotPossibleNow(f"this sandbox does not serve {provider!r}; it serves {served}")
