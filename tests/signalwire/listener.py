"""An application that takes media streams with nothing but a `websockets` server: it knows no code of ours."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

MULAW = [
    (-1 if ~code & 0x80 else 1) * ((((~code & 0x0F) << 3) + 132 << ((~code & 0x70) >> 4)) - 132) for code in range(256)
]
"""G.711 by its formula, apart from the library's own tables."""


class Line:
    """One stream as the application meets it."""

    def __init__(self, changed: threading.Condition, socket: ServerConnection) -> None:
        self.path = socket.request.path
        self.headers = socket.request.headers
        self.messages: list[dict] = []
        self.times: list[float] = []
        self.over = False
        self.code: int | None = None
        self._changed = changed
        self._socket = socket

    def take(self) -> None:
        try:
            for text in self._socket:
                assert isinstance(text, str)
                with self._changed:
                    self.times.append(time.monotonic())
                    self.messages.append(json.loads(text))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        with self._changed:
            self.over, self.code = True, self._socket.close_code
            self._changed.notify_all()

    def of(self, event: str) -> list[dict]:
        with self._changed:
            return [message for message in self.messages if message["event"] == event]

    def track(self, name: str) -> list[dict]:
        return [message["media"] for message in self.of("media") if message["media"]["track"] == name]

    def audio(self, name: str = "inbound") -> bytes:
        """What a track carried, as PCM16."""
        data = b"".join(base64.b64decode(media["payload"]) for media in self.track(name))
        if self.started["mediaFormat"]["encoding"] == "audio/x-L16":
            return data
        return b"".join(MULAW[code].to_bytes(2, "little", signed=True) for code in data)

    @property
    def started(self) -> dict:
        return self.of("start")[0]["start"]

    def wait(self, condition: Callable[[Line], object]) -> Line:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), 10), self.messages[:2]
        return self

    def frames(self, count: int, track: str = "inbound") -> list[dict]:
        """The first so many frames of a track, as soon as they are there."""
        return self.wait(lambda line: len(line.track(track)) >= count).track(track)[:count]

    def ended(self) -> Line:
        return self.wait(lambda line: line.over)

    def say(self, event: str, **words: object) -> None:
        self.send({"event": event, "streamSid": self.started["streamSid"], **words})

    def send(self, message: object) -> None:
        self._socket.send(message if isinstance(message, str) else json.dumps(message))

    def play(self, payload: bytes) -> None:
        self.say("media", media={"payload": base64.b64encode(payload).decode()})

    def mark(self, name: str) -> None:
        self.say("mark", mark={"name": name})

    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.of("mark")]

    def at(self, event: str, number: int = -1) -> float:
        """When an event of that kind arrived, by the monotonic clock."""
        with self._changed:
            return [at for at, m in zip(self.times, self.messages, strict=True) if m["event"] == event][number]

    def close(self, code: int = 1000) -> None:
        self._socket.close(code)


class Listener:
    """The application's WebSocket server, which may want a bearer token."""

    def __init__(self) -> None:
        self.bearer: str | None = None
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._server = serve(self._take, "127.0.0.1", 0, process_request=self._admit, compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/media"

    def line(self, number: int = 0) -> Line:
        """The stream of that number, as soon as it has said what comes."""
        with self._changed:
            there = self._changed.wait_for(
                lambda: len(self.lines) > number and len(self.lines[number].messages) > 1, 10
            )
            assert there, self.lines
            return self.lines[number]

    def close(self) -> None:
        self._server.shutdown()
        for line in self.lines:
            line.ended()
        self._thread.join()

    def _admit(self, socket: ServerConnection, request):
        if self.bearer is not None and request.headers.get("Authorization") != f"Bearer {self.bearer}":
            return socket.respond(HTTPStatus.FORBIDDEN, "no\n")
        return None

    def _take(self, socket: ServerConnection) -> None:
        line = Line(self._changed, socket)
        with self._changed:
            self.lines.append(line)
        line.take()
