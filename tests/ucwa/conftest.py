"""A UCWA server on loopback, and a client that does nothing but follow links."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from telco_bridge.sandbox import Exchange
from telco_bridge.serving import Server
from telco_bridge_ucwa.emulator import UcwaEmulator

Json = dict[str, Any]
CLIENT = {"UserAgent": "tests/1.0", "EndpointId": "6b0c", "Culture": "en-US"}


@dataclass
class Told:
    """One event as the client got it."""

    package: int
    sender: str
    rel: str
    type: str
    raw: Json

    @property
    def name(self) -> str:
        return f"{self.rel} {self.type}"

    @property
    def body(self) -> Json:
        return self.raw["_embedded"][self.rel]


class WireClient:
    """Signs in as the documentation says, polls for events, and keeps what it was told."""

    def __init__(self, profile: Json) -> None:
        self.profile = profile
        self.http = httpx.Client(timeout=10.0, trust_env=False)
        self.pool = ""
        self.application: Json = {}
        self.next = ""
        self.told: list[Told] = []
        self.packages: list[Json] = []

    def token(self, answer: httpx.Response) -> str:
        challenge = next(v for v in answer.headers.get_list("www-authenticate") if v.startswith("MsRtcOAuth"))
        found = re.search(r'href="([^"]+)"', challenge)
        assert found is not None
        form = {"grant_type": "password", "username": self.profile["username"], "password": self.profile["password"]}
        ticket = self.http.post(found[1], data=form)
        assert ticket.status_code == 200, ticket.text
        return f"Bearer {ticket.json()['access_token']}"

    def sign_in(self, **client: str) -> Json:
        self.http.headers.pop("Authorization", None)
        self.http.headers["Authorization"] = self.token(self.http.get(self.profile["user_url"]))
        user = self.http.get(self.profile["user_url"]).json()
        self.pool = user["_links"]["applications"]["href"]
        created = self.http.post(self.pool, json={**CLIENT, **client})
        assert created.status_code == 201, created.text
        self.application = created.json()
        self.next = self.application["_links"]["events"]["href"]
        return self.application

    def url(self, href: str) -> str:
        return urljoin(self.pool, href)

    def get(self, href: str) -> httpx.Response:
        return self.http.get(self.url(href))

    def post(self, href: str, **inputs: object) -> httpx.Response:
        return self.http.post(self.url(href), json=inputs) if inputs else self.http.post(self.url(href))

    def delete(self, href: str) -> httpx.Response:
        return self.http.delete(self.url(href))

    def start(self, rel: str, **inputs: object) -> httpx.Response:
        return self.post(self.application["_embedded"]["communication"]["_links"][rel]["href"], **inputs)

    def poll(self) -> list[Told]:
        """Take the next package."""
        answer = self.get(self.next)
        assert answer.status_code == 200, answer.text
        package = answer.json()
        self.packages.append(package)
        links = package["_links"]
        self.next = next(links[rel] for rel in ("resync", "resume", "next") if rel in links)["href"]
        told = [
            Told(len(self.packages), sender["rel"], event["link"]["rel"], event["type"], event)
            for sender in package.get("sender", [])
            for event in sender["events"]
        ]
        self.told += told
        return told

    def until(self, name: str) -> Told:
        """Take packages until that event is in one."""
        for _ in range(20):
            for told in self.poll():
                if told.name == name:
                    return told
        raise AssertionError(f"{name} never came, only {[told.name for told in self.told]}")

    def last(self, rel: str) -> Json:
        """The newest body of that rel."""
        return next(told.body for told in reversed(self.told) if told.rel == rel and "_embedded" in told.raw)

    def link(self, rel: str, name: str) -> str:
        return self.last(rel)["_links"][name]["href"]

    def names(self, package: int | None = None) -> list[str]:
        return [told.name for told in self.told if package in (None, told.package)]


@dataclass
class Served:
    """An emulator being served, with the network behind it."""

    emulator: UcwaEmulator
    exchange: Exchange
    connect: Callable[[], WireClient]
    stop: Callable[[], None]

    def parked(self) -> None:
        """Return when the application's client is waiting for events."""
        channel = self.emulator.applications[-1].channel
        while channel.polled_at is not None:
            time.sleep(0)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Serve an emulator with these options on a network twenty times as fast as the world."""
    with ExitStack() as stack:

        def start(*, speed: float = 20.0, **options: Any) -> Served:
            exchange = stack.enter_context(Exchange(speed=speed))
            emulator = UcwaEmulator(exchange, **options)
            server = Server(emulator.app, started=emulator.started, stopped=emulator.stopped)
            stack.enter_context(server)

            def connect() -> WireClient:
                client = WireClient(emulator.profile())
                stack.callback(client.http.close)
                return client

            return Served(emulator, exchange, connect, server.stop)

        yield start


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()


@pytest.fixture
def client(served: Served) -> WireClient:
    """A client that has signed in."""
    wire_client = served.connect()
    wire_client.sign_in()
    return wire_client
