"""How uvicorn serves WebSockets that carry a message every twenty milliseconds."""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.http11 import Request

from .mediasocket import LANE

__all__ = ["MediaProtocol"]

_BACKLOG = 16


class MediaProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own protocol, with a fast lane for media and a backlog for everything else.

    In the lane a message goes from the socket to whoever listens, and back, without a queue and a task in between; that
    is half the time of a frame. Beside it, reading stops at a backlog of messages and not at every single one. The
    bridge's own server uses it; another can: `uvicorn.run(app, ws="telco_bridge.mediaserver:MediaProtocol")`.
    """

    _hear: Callable[[str | bytes], bool] | None = None
    _resuming = 0.01

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        # It would write whole requests into the log, and with them the tokens that providers show.
        self.conn.debug = False

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            self.scope.setdefault("extensions", {})[LANE] = {"lane": self}

    def listen(self, hear: Callable[[str | bytes], bool]) -> None:
        """Hand every message to this function, those first that wait already; while it returns False, read no more."""
        self._hear = hear
        while not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] != "websocket.receive":
                self.queue.put_nowait(message)
                break
            text = message.get("text")
            self._deliver(text if text is not None else message.get("bytes") or b"")

    def write(self, message: str | bytes) -> bool:
        """Send a message at once; False where it cannot be, and has to be sent in the ordinary way."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        if isinstance(message, str):
            self.conn.send_text(message.encode())
        else:
            self.conn.send_binary(message)
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def send_receive_event_to_app(self) -> None:
        if self._hear is not None:
            self._hand_over()
            return
        paused, self.read_paused = self.read_paused, True
        super().send_receive_event_to_app()
        self.read_paused = paused or self.queue.qsize() >= _BACKLOG
        if self.read_paused and not paused:
            self.transport.pause_reading()

    def _hand_over(self) -> None:
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type != "text":
            self._deliver(bytes(data))
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
        else:
            self._deliver(text)

    def _deliver(self, message: str | bytes) -> None:
        if self._hear is not None and not self._hear(message) and not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_later(self._resuming, self._look_again)

    def _look_again(self) -> None:
        """Read on once there is room; an empty message asks without saying anything."""
        if self.disconnected or self.transport.is_closing() or self._hear is None:
            return
        if self._hear(""):
            self.transport.resume_reading()
        else:
            self.loop.call_later(self._resuming, self._look_again)
