"""For the plugin: settings and a host that remembers. For the emulator: a network and an application on loopback."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from telco_bridge.clock import SystemClock
from telco_bridge.reports import CallReport
from telco_bridge.sandbox.exchange import Exchange
from telco_bridge.sandbox.sink import StreamSink
from telco_bridge.serving import Server
from telco_bridge_signalwire.config import SignalWireConfig
from telco_bridge_signalwire.emulator import SignalWireEmulator

from .listener import Listener

WAITING = '<?xml version="1.0" encoding="UTF-8"?><Response><Pause length="3600"/></Response>'


@dataclass(frozen=True)
class Hook:
    """One request that the application received."""

    method: str
    path: str
    url: str
    headers: dict[str, str]
    fields: dict[str, str]

    @property
    def word(self) -> str:
        return self.fields.get("StreamEvent") or self.fields.get("CallStatus", "")


class Application:
    """The application's web server: `/voice…` gives a document that waits, everything else takes a callback."""

    def __init__(self) -> None:
        self.url = ""
        self.changed = threading.Condition()
        self.hooks: list[Hook] = []
        self.documents: dict[str, str] = {}
        self.statuses: dict[str, list[int]] = {}
        self.content_type = "text/xml"

    async def __call__(self, scope, receive, send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = scope["query_string"].decode()
        path = scope["path"]
        hook = Hook(
            method=scope["method"],
            path=path,
            url=f"{self.url}{scope['raw_path'].decode()}" + (f"?{query}" if query else ""),
            headers={name.decode(): value.decode() for name, value in scope["headers"]},
            fields=dict(parse_qsl(body.decode() or query, keep_blank_values=True)),
        )
        with self.changed:
            self.hooks.append(hook)
            statuses = self.statuses.get(path)
            status = statuses.pop(0) if statuses else 200
            document = self.documents.get(path, WAITING if path.startswith("/voice") else "<Response/>")
            self.changed.notify_all()
        content_type = self.content_type.encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]})
        await send({"type": "http.response.body", "body": document.encode()})

    def to(self, path: str) -> list[Hook]:
        with self.changed:
            return [hook for hook in self.hooks if hook.path == path]

    def words(self, path: str = "/status") -> list[str]:
        return [hook.word for hook in self.to(path)]

    def wait(self, path: str, word: str | None = None, *, count: int = 1) -> Hook:
        """The latest request to that path (that says the word), as soon as there are so many of them."""

        def matching() -> list[Hook]:
            return [hook for hook in self.hooks if hook.path == path and word in (None, hook.word)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(matching()) >= count, 10), (path, word, self.hooks)
            return matching()[-1]


@pytest.fixture
def network() -> Iterator[Exchange]:
    with Exchange(speed=20) as exchange:
        yield exchange


@pytest.fixture
def application() -> Iterator[Application]:
    served = Application()
    with Server(served) as server:
        served.url = server.url
        yield served


@pytest.fixture
def sink() -> Iterator[StreamSink]:
    served = StreamSink(bearer=None)
    with Server(served, started=served.started, stopped=served.stopped):
        yield served


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Requested before the emulator, and so closed after it."""
    served = Listener()
    yield served
    served.close()


@pytest.fixture
def emulate(network: Exchange) -> Iterator[Callable[..., SignalWireEmulator]]:
    """Build and serve an emulator with the given options."""
    with contextlib.ExitStack() as stack:

        def build(**options) -> SignalWireEmulator:
            emulator = SignalWireEmulator(network, **{"allow_loopback_ws": True, **options})
            stack.enter_context(Server(emulator.app, started=emulator.started, stopped=emulator.stopped))
            return emulator

        yield build


@pytest.fixture
def emulator(emulate: Callable[..., SignalWireEmulator]) -> SignalWireEmulator:
    return emulate()


class Rest:
    """A plain HTTP client of the emulated API, which knows nothing of it but its addresses."""

    def __init__(self, emulator: SignalWireEmulator, application: Application) -> None:
        self.emulator = emulator
        self.application = application
        self.base = f"/api/laml/2010-04-01/Accounts/{emulator.project}"
        self.http = httpx.Client(base_url=emulator.url, auth=(emulator.project, emulator.token), trust_env=False)

    def get(self, path: str, **query: object) -> httpx.Response:
        return self.http.get(f"{self.base}/{path}", params={k: str(v) for k, v in query.items()})

    def post(self, path: str, **form: object) -> httpx.Response:
        return self.http.post(f"{self.base}/{path}", data=form)

    def order(self, to: str = "+15550100", **form: object) -> dict[str, object]:
        """The form of an ordinary call, with every event subscribed; None takes a parameter away."""
        usual = {
            "To": to,
            "From": "+15550000001",
            "Url": f"{self.application.url}/voice",
            "StatusCallback": f"{self.application.url}/status",
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        }
        return {name: value for name, value in (usual | form).items() if value is not None}

    def dial(self, to: str = "+15550100", **form: object) -> str:
        answer = self.post("Calls", **self.order(to, **form))
        assert answer.status_code == 200, answer.text
        return answer.json()["sid"]

    def answered(self, to: str = "+15550100", **form: object) -> str:
        """Dial, and return when the call's document is being executed."""
        sid = self.dial(to, **form)
        self.application.wait("/voice")
        self.application.wait("/status", "in-progress")
        return sid

    def call(self, sid: str) -> dict[str, object]:
        return self.get(f"Calls/{sid}").json()


@pytest.fixture
def rest(emulator: SignalWireEmulator, application: Application) -> Iterator[Rest]:
    client = Rest(emulator, application)
    with client.http:
        yield client


@pytest.fixture
def rest_with(emulate: Callable[..., SignalWireEmulator], application: Application) -> Iterator[Callable[..., Rest]]:
    """A client of an emulator with the given options."""
    with contextlib.ExitStack() as stack:

        def build(**options) -> Rest:
            client = Rest(emulate(**options), application)
            stack.enter_context(client.http)
            return client

        yield build


SETTINGS = {
    "project": "5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21",
    "token": "PT-secret-token",
    "signing_key": "PSK_example0signing0key",
    "space": "example.signalwire.com",
    "caller_id": "+15550100001",
    "stream_url": "wss://media.example.net/in",
}


class RecordingHost:
    """What the core offers a plugin, with a stamp that counts and a memory of what was reported."""

    def __init__(self, public_url: str | None) -> None:
        self.clock = SystemClock()
        self.facts: list[object] = []
        self.last = 0.0
        self._public_url = public_url

    @property
    def reports(self) -> list[CallReport]:
        return [fact for fact in self.facts if isinstance(fact, CallReport)]

    def stamp(self) -> float:
        self.last += 1
        return self.last

    def report(self, *facts: object) -> None:
        self.facts += facts

    def url(self, path: str, **query: str) -> str | None:
        if self._public_url is None:
            return None
        return f"{self._public_url}/{path}" + (f"?{urlencode(query)}" if query else "")


@pytest.fixture
def configure() -> Callable[..., SignalWireConfig]:
    """Build settings that differ from the usual ones; `...` takes a setting away."""

    def build(**changes: object) -> SignalWireConfig:
        settings = {name: value for name, value in {**SETTINGS, **changes}.items() if value is not ...}
        return SignalWireConfig.model_validate(settings)

    return build


@pytest.fixture
def config(configure: Callable[..., SignalWireConfig]) -> SignalWireConfig:
    return configure()


@pytest.fixture
def host() -> RecordingHost:
    return RecordingHost("https://app.example.net")


@pytest.fixture
def deaf_host() -> RecordingHost:
    """A host without a public URL."""
    return RecordingHost(None)
