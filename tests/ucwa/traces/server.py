"""A UCWA server that plays one exchange and nothing else, and a bridge that talks to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import httpx

import telco_bridge
from telco_bridge import Bridge
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.plugin import telco_bridge_provider
from telco_bridge_ucwa.session import open_session

Json = dict[str, Any]
POOL = "https://pool2.example.org"
APPLICATIONS = "/ucwa/oauth/v1/applications"
A = f"{APPLICATIONS}/10233"
C = f"{A}/communication/conversations/c0ffee1"
C2 = f"{A}/communication/conversations/c0ffee2"
TOKEN = "cwt=AAEB-pool2"
PASSWORD = "s3cret"
CHALLENGE = [
    ("WWW-Authenticate", 'Bearer trusted_issuers="00000002@example.org", client_id="00000004"'),
    (
        "WWW-Authenticate",
        f'MsRtcOAuth href="{POOL}/WebTicket/oauthtoken",grant_type="urn:microsoft.rtc:windows,password"',
    ),
]


def ok(body: Json, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def refused(status: int, code: str, subcode: str | None = None, **more: object) -> httpx.Response:
    return ok({"code": code, "subcode": subcode, "message": "Please check what you entered.", **more}, status)


NO_CONTENT = httpx.Response(204)


def resource(
    rel: str, href: str, links: Json | None = None, embedded: Json | None = None, **properties: object
) -> Json:
    named = {name: {"href": to} if isinstance(to, str) else to for name, to in (links or {}).items()}
    body = {"rel": rel, **properties, "_links": {"self": {"href": href}, **named}}
    return body | ({"_embedded": embedded} if embedded else {})


def event(
    kind: str, body: Json, *, bare: bool = False, rel: str | None = None, member_of: str | None = None, **more: object
) -> Json:
    """One event about a resource. `more` are `status` and `reason`."""
    rel = rel or body["rel"]
    raw = {"link": {"rel": rel, "href": body["_links"]["self"]["href"], "title": ""}, "type": kind, **more}
    if member_of is not None:
        raw["in"] = {"rel": "participant", "href": member_of}
    return raw if bare else raw | {"_embedded": {rel: body}}


def failure(subcode: str | None, code: str = "RemoteFailure") -> Json:
    return {"status": "Failure", "reason": {"code": code, "subcode": subcode, "message": "The call was not taken."}}


def sender(rel: str, href: str, *events: Json) -> Json:
    return {"rel": rel, "href": href, "events": list(events)}


def communication(*events: Json) -> Json:
    return sender("communication", f"{A}/communication", *events)


def conversation(*events: Json, href: str = C) -> Json:
    return sender("conversation", href, *events)


COMMUNICATION = resource(
    "communication",
    f"{A}/communication",
    {
        "startPhoneAudio": f"{A}/communication/phoneAudioInvitations",
        "startAudioVideo": {"href": f"{A}/communication/audioVideoInvitations", "revision": "2"},
        "conversations": f"{A}/communication/conversations?filter=active",
    },
    supportedModalities=[],
    etag="3140562359",
) | {"0c7e5a52-7f2b-4d35-9e0b-7a2d1f6f3c11": "please pass this in a PUT request"}
ME = resource("me", f"{A}/me", {"makeMeAvailable": f"{A}/me/makeMeAvailable"}, uri="sip:ada@example.org", name="Ada")


def application(href: str = A) -> Json:
    links = {"events": f"{href}/events?ack=1", "batch": f"{href}/batch"}
    return resource("application", href, links, {"me": ME, "communication": COMMUNICATION}, culture="en-US")


@dataclass
class Awaited:
    """One request of the script, and what it is answered with."""

    method: str
    url: str
    answer: httpx.Response | Exception
    json: Json | None = None
    form: dict[str, str] | None = None
    sdp: str | None = None
    token: str | None = TOKEN
    fresh_endpoint: str | None = None
    """The endpointId that this application must not have again."""
    after: list[Json] = field(default_factory=list)

    def differs(self, request: httpx.Request) -> str | None:
        """What is wrong with the request; None where it is the awaited one."""
        url, asked = httpx.URL(POOL).join(self.url), request.url
        here = (asked.host, asked.path, sorted(asked.params.multi_items()))
        if request.method != self.method or here != (url.host, url.path, sorted(url.params.multi_items())):
            return f"awaited {self.method} {url}"
        return next((f"{what} of {self.method} {url} is {was!r}" for what, was in self._wrong(request)), None)

    def _wrong(self, request: httpx.Request) -> list[tuple[str, object]]:
        headers, kind = request.headers, request.headers.get("content-type")
        token = None if self.token is None else f"Bearer {self.token}"
        checks: list[tuple[str, object, bool]] = [
            ("Authorization", headers.get("authorization"), headers.get("authorization") == token),
            ("Accept", headers.get("accept"), headers.get("accept") == "application/json"),
            ("Origin", headers.get("origin"), "origin" not in headers),
        ]
        if self.fresh_endpoint is not None:
            endpoint = json.loads(request.content)["endpointId"]
            checks.append(("endpointId", endpoint, endpoint not in ("", self.fresh_endpoint)))
        elif self.json is not None:
            same = kind == "application/json" and json.loads(request.content) == self.json
            checks.append(("body", request.content, same))
        elif self.form is not None:
            same = kind == "application/x-www-form-urlencoded;charset=UTF-8"
            sent = dict(httpx.QueryParams(request.content.decode()).multi_items())
            checks.append(("form", request.content, same and sent == self.form))
        elif self.sdp is not None:
            same = kind == "application/sdp" and request.content.decode() == self.sdp
            checks.append(("body", request.content, same))
        else:
            length = headers.get("content-length")
            checks.append(("body", request.content, request.content == b""))
            checks.append(("Content-Length", length, length == ("0" if self.method == "POST" else None)))
        return [(what, was) for what, was, right in checks if not right]


class ScriptedServer:
    """Answers what the script awaits, in its order. Event packages have an order of their own."""

    def __init__(self) -> None:
        self.script: list[Awaited] = []
        self.harmless: dict[str, httpx.Response] = {}
        self.wrong: list[str] = []
        self.token: str | None = TOKEN
        """What the next requests to the pool must carry."""
        self.polls: list[str] = []
        self.acked = 1
        self.dialect: Callable[[ScriptedServer, Json], httpx.Response] = lambda _, package: ok(package)
        """How a package is written down."""
        self._packages: list[httpx.Response | Exception] = []
        self._released = anyio.Event()

    # What the test says

    def awaits(self, method: str, url: str, answer: httpx.Response | Exception = NO_CONTENT, **more: Any) -> None:
        """The next request that is not a poll. `after` are senders whose events are released before the answer."""
        self.script.append(Awaited(method, url, answer, **({"token": self.token} | more)))

    def tolerates(self, url: str, body: Json) -> None:
        """A read that does no harm, wherever it comes."""
        self.harmless[url] = ok(body)

    def signs_in(self, href: str = A, **settings: object) -> None:
        """The pool asks for a token, and makes the application."""
        body = {"userAgent": "telephony/1.0", "endpointId": "6b0c", "culture": "en-US", **settings}
        challenge = httpx.Response(401, headers=CHALLENGE, html="<html></html>")
        self.awaits("POST", APPLICATIONS, challenge, json=body, token=None)
        form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
        self.awaits("POST", "/WebTicket/oauthtoken", ticket(self.token), form=form, token=None)
        self.awaits("POST", APPLICATIONS, ok(application(href), 201), json=body)

    @staticmethod
    def found(user: str, pool: str) -> Awaited:
        """Autodiscovery leads to that pool."""
        links = {"applications": f"{pool}{APPLICATIONS}"}
        return Awaited("GET", user, ok(resource("user", user, links)), token=None)

    def release(self, *senders: Json, **more: Any) -> None:
        """Answer the parked poll with the events of these senders."""
        self._answer_poll(self.dialect(self, self.package(*senders, **more)))

    def release_as(self, answer: httpx.Response | Exception) -> None:
        """Answer the parked poll with something else, and await the same poll again."""
        self._answer_poll(answer)

    def package(self, *senders: Json, on: str = "next", href: str | None = None, app: str = A) -> Json:
        here, self.acked = self.acked, self.acked + 1 if href is None else self.acked
        links = {"self": {"href": f"{app}/events?ack={here}"}, on: {"href": href or f"{app}/events?ack={self.acked}"}}
        return {"_links": links} | ({"sender": list(senders)} if senders else {})

    def _answer_poll(self, answer: httpx.Response | Exception) -> None:
        self._packages.append(answer)
        self._released.set()

    # What the client hears

    async def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if request.method == "GET" and request.url.path.endswith("/events"):
            return await self._poll(request, path)
        if request.method == "GET" and path in self.harmless:
            return self.harmless[path]
        if not self.script:
            return self._surprised(request, "nothing more was awaited")
        wrong = self.script[0].differs(request)
        if wrong is not None:
            return self._surprised(request, wrong)
        awaited = self.script.pop(0)
        if awaited.after:
            self.release(*awaited.after)
            await anyio.wait_all_tasks_blocked()
        if isinstance(awaited.answer, Exception):
            raise awaited.answer
        return awaited.answer

    async def _poll(self, request: httpx.Request, path: str) -> httpx.Response:
        wrong = Awaited("GET", str(request.url), NO_CONTENT, token=self.token).differs(request)
        if wrong is not None:
            return self._surprised(request, wrong)
        self.polls.append(path)
        while not self._packages:
            await self._released.wait()
        self._released = anyio.Event()
        answer = self._packages.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _surprised(self, request: httpx.Request, why: str) -> httpx.Response:
        self.wrong.append(f"{request.method} {request.url} {request.content[:200]!r}: {why}")
        return httpx.Response(500)


def ticket(token: str) -> httpx.Response:
    return ok({"access_token": token, "expires_in": 28700, "token_type": "Bearer", "ms_rtc_identityscope": "local"})


@dataclass
class Desk:
    """A bridge, the server it talks to, and the time of both."""

    bridge: Bridge
    server: ScriptedServer
    clock: SteppedClock
    application: str = A
    """What is deleted in the end."""

    async def settle(self) -> None:
        """Let everything happen that needs no time; what the server did not await fails here."""
        await self.clock.advance(0.0)
        assert self.server.wrong == []

    async def hears(self, *senders: Json, **more: Any) -> None:
        """Release a package. The next poll is parked before anything that the package causes is sent."""
        before = len(self.server.polls)
        self.server.release(*senders, **more)
        await self.settle()
        assert self.server.polls[before:] == [f"{A}/events?ack={self.server.acked}"]

    async def asks(self, command: Callable[[], Awaitable[object]], *senders: Json) -> None:
        """Ask for something; the answer says nothing, and only the events that follow make it a fact."""
        done: list[bool] = []

        async def run() -> None:
            await command()
            done.append(True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await self.settle()
            assert not done
            await self.hears(*senders)
            assert done == [True]


@asynccontextmanager
async def desk(server: ScriptedServer, **settings: object) -> AsyncIterator[Desk]:
    """Sign in, and sign out at the end; nothing of the script may be left over."""

    def connect(config: Any, host: Any) -> Any:
        return open_session(config, host, transport=httpx.MockTransport(server.handle))

    options = {
        "username": "ada@example.org",
        "password": PASSWORD,
        "application_url": f"{POOL}{APPLICATIONS}",
        "user_agent": "telephony/1.0",
        "endpoint_id": "6b0c",
        "phone_number": "+14255550101",
        **settings,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    plugin = replace(telco_bridge_provider(), connect=connect)
    clock = SteppedClock()
    with anyio.fail_after(2):
        async with telco_bridge.connect({"provider": plugin, **chosen}, clock=clock) as bridge:
            here = Desk(bridge, server, clock)
            await here.settle()
            assert server.polls == [f"{A}/events?ack=1&timeout={options.get('poll_timeout', 180)}"]
            yield here
            await here.settle()
            assert server.script == []
            server.awaits("DELETE", here.application)
    assert server.wrong == []
    assert server.script == []
