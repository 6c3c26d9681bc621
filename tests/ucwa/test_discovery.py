"""Autodiscovery: from a domain to the pool that is the user's home, and to no host besides."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.http import ForeignOrigin
from telco_bridge.provider import CallReport, Gap, ProviderError, Unreachable
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.session import open_session

INTERNAL, EXTERNAL = "https://lyncdiscoverinternal.example.org/", "https://lyncdiscover.example.org/"
HTTP_INTERNAL, HTTP_EXTERNAL = "http://lyncdiscoverinternal.example.org/", "http://lyncdiscover.example.org/"
USER = "https://web1.example.org/Autodiscover/root/oauth/user?originalDomain=example.org"
POOL = "https://pool2.example.org/ucwa/oauth/v1/applications"
TICKETS = "/WebTicket/oauthtoken"
PASSWORD = "s3cret"


class Host:
    """Keeps what is reported."""

    def __init__(self):
        self.clock = SteppedClock()
        self.last = 0.0
        self.facts = []

    def stamp(self):
        self.last = max(self.clock.now(), math.nextafter(self.last, math.inf))
        return self.last

    def report(self, *facts):
        self.facts += facts

    def url(self, path, **query):
        return None


def ok(links=None, status=200, **embedded):
    return httpx.Response(
        status,
        json={"_links": {rel: {"href": href} for rel, href in (links or {}).items()}, "_embedded": embedded},
    )


def moved(location):
    return httpx.Response(302, headers={"location": location})


APPLICATION = {
    "_links": {"self": {"href": "/app"}, "events": {"href": "/app/events?ack=1"}},
    "_embedded": {rel: {"rel": rel, "_links": {"self": {"href": f"/app/{rel}"}}} for rel in ("me", "communication")},
}


class World:
    """Every host of the domain. What is not in the table cannot be reached; what is guarded wants its host's token."""

    def __init__(self, **answers):
        self.requests = []
        self.tokens = {}
        self.issued = 0
        self.lifetime = 28_700
        self.answers = {
            EXTERNAL: ok({"self": EXTERNAL, "user": USER}),
            USER: ok({"self": USER, "applications": POOL}),
            POOL: httpx.Response(201, json=APPLICATION),
        }

    async def handle(self, request):
        self.requests.append(request)
        url = str(request.url)
        if request.url.path == TICKETS:
            self.issued += 1
            self.tokens[request.url.host] = f"Bearer cwt={self.issued}"
            token = {"access_token": f"cwt={self.issued}", "expires_in": self.lifetime, "token_type": "Bearer"}
            return httpx.Response(200, json=token)
        guarded = "oauth" in url or url.partition("?")[0].endswith(("/app", "/app/events"))
        if guarded and request.headers.get("authorization") != self.tokens.get(request.url.host, "?"):
            challenge = f'MsRtcOAuth href="https://{request.url.host}{TICKETS}",grant_type="password"'
            return httpx.Response(401, headers={"www-authenticate": challenge})
        if request.method == "DELETE":
            return httpx.Response(204)
        answer = self.answers.get(url)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if answer is None and request.url.path == "/app/events":
            await anyio.sleep_forever()
        if answer is None or isinstance(answer, Exception):
            raise answer or httpx.ConnectError("no such host")
        return answer

    def sent(self):
        return [f"{request.method} {request.url}" for request in self.requests]


@asynccontextmanager
async def signed_in(world, **settings):
    config = UcwaConfig.model_validate({"username": "ada@example.org", "password": PASSWORD, **settings})
    host = Host()
    async with open_session(config, host, transport=httpx.MockTransport(world.handle)) as session:
        yield session, host


async def test_a_sign_in_goes_as_documented_with_a_token_for_each_host():
    world = World()

    async with signed_in(world):
        pass

    assert world.sent() == [
        f"GET {INTERNAL}",
        f"GET {EXTERNAL}",
        f"GET {USER}",
        f"POST https://web1.example.org{TICKETS}",
        f"GET {USER}",
        f"POST {POOL}",
        f"POST https://pool2.example.org{TICKETS}",
        f"POST {POOL}",
        "DELETE https://pool2.example.org/app",
    ]
    assert [r.headers.get("authorization") for r in world.requests if str(r.url) == POOL] == [None, "Bearer cwt=2"]


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.Response(404),
        httpx.Response(503),
        httpx.Response(200, text="<html/>"),
        httpx.Response(302),
        moved("https://lyncdiscover.example.net/"),
        moved("http://web1.example.org/"),
        moved(INTERNAL),
        ok({"redirect": "https://evil.example.net/"}),
        ok({"user": "https://evil.example.net/oauth/user"}),
        ok({"user": "http://web1.example.org/oauth/user"}),
        ok({"xframe": "https://web1.example.org/xframe"}),
    ],
)
async def test_an_entry_that_leads_nowhere_gives_way_to_the_next(trouble):
    world = World()
    world.answers[INTERNAL] = trouble

    async with signed_in(world):
        pass

    assert f"GET {EXTERNAL}" in world.sent()
    assert not [r for r in world.requests if r.url.host.endswith("example.net")]
    assert not [r for r in world.requests if r.url.scheme == "http"]


async def test_http_is_tried_after_https_and_only_asked_what_everybody_may_read():
    world = World()
    del world.answers[EXTERNAL]
    world.answers[HTTP_EXTERNAL] = moved("https://web1.example.org/root")
    world.answers["https://web1.example.org/root"] = ok({"user": USER})

    async with signed_in(world):
        pass

    assert world.sent()[:5] == [f"GET {url}" for url in (INTERNAL, EXTERNAL, HTTP_INTERNAL, HTTP_EXTERNAL)] + [
        "GET https://web1.example.org/root"
    ]
    clear = [r for r in world.requests if r.url.scheme == "http"]
    assert not [r for r in clear if "authorization" in r.headers or r.content or "ada" in str(r.url)]


async def test_redirects_of_the_root_and_of_the_user_are_followed_beside_other_links():
    world = World()
    home = "https://home.example.org/Autodiscover/root"
    world.answers[EXTERNAL] = ok({"xframe": "/xframe", "redirect": "https://edge.example.org/root"})
    world.answers["https://edge.example.org/root"] = ok({"user": USER})
    world.answers[USER] = ok({"redirect": f"{home}?originalDomain=example.org"})
    world.answers[f"{home}/oauth/user?originalDomain=example.org"] = ok({"applications": POOL})

    async with signed_in(world):
        pass

    assert f"GET {home}/oauth/user?originalDomain=example.org" in world.sent()
    assert world.issued == 3


async def test_a_redirect_that_wants_a_token_is_given_one():
    world = World()
    gate = "https://gate.example.org/oauth/root2"
    world.answers[EXTERNAL] = ok({"redirect": gate})
    world.answers[gate] = ok({"user": USER})

    async with signed_in(world):
        pass

    assert world.sent().count(f"GET {gate}") == 3


@pytest.mark.parametrize(
    ("at", "answer", "words"),
    [
        (USER, ok({"redirect": USER}), "redirected more than 5 times"),
        (USER, ok({"xframe": "/xframe"}), "no applications link"),
        (USER, ok({"applications": "https://pool:port/"}), "applications: .*no URL"),
        (
            USER,
            httpx.Response(200, text="<html/>", headers={"content-type": "text/html"}),
            r"GET user \(.*\): .*text/html",
        ),
        (USER, httpx.Response(500), r"GET user \(.*\): HTTP 500"),
        (EXTERNAL, ok({"redirect": EXTERNAL}), "redirected more than 5 times"),
        (EXTERNAL, moved("http://lyncdiscover.example.org/"), "from https to http"),
        (EXTERNAL, httpx.Response(302), "302 without a Location"),
    ],
)
async def test_a_way_that_does_not_end_at_the_applications_is_told(at, answer, words):
    world = World()
    world.answers[at] = answer

    with pytest.raises(ProviderError, match=words):
        async with signed_in(world):
            pass


async def test_no_server_at_all_names_everything_that_was_tried():
    world = World()
    world.answers = {}

    with pytest.raises(Unreachable, match=r"autodiscovery of example\.org") as caught:
        async with signed_in(world):
            pass

    for entry in (INTERNAL, EXTERNAL, HTTP_INTERNAL, HTTP_EXTERNAL):
        assert entry in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_a_domain_that_is_hosted_elsewhere_says_which_host_to_allow():
    world = World()
    world.answers[EXTERNAL] = moved("https://lyncdiscover.hoster.example.net/")

    with pytest.raises(ProviderError, match=r"lyncdiscover\.hoster\.example\.net.*allowed_hosts") as caught:
        async with signed_in(world):
            pass

    assert type(caught.value) is ProviderError


@pytest.mark.parametrize("link", ["https://example.org.evil.net/apps", "https://evilexample.org/apps"])
async def test_a_token_is_sent_to_no_host_that_only_looks_like_the_domain(link):
    world = World()
    world.answers[USER] = ok({"applications": link})

    with pytest.raises(ForeignOrigin, match="allowed_hosts"):
        async with signed_in(world):
            pass

    assert not [r for r in world.requests if "evil" in r.url.host]


async def test_a_host_elsewhere_is_followed_where_it_is_allowed():
    world = World()
    elsewhere = "https://pool.hoster.net/oauth/apps"
    world.answers[USER] = ok({"applications": elsewhere})
    world.answers[elsewhere] = httpx.Response(201, json=APPLICATION)

    async with signed_in(world, allowed_hosts=["pool.hoster.net"]):
        pass

    assert f"POST {elsewhere}" in world.sent()


async def test_the_domain_is_that_of_the_settings_before_that_of_the_user():
    world = World()

    async with signed_in(world, username="CONTOSO\\ada", domain="Example.org"):
        pass

    assert world.sent()[0] == f"GET {INTERNAL}"


async def test_discovery_may_begin_at_a_url():
    world = World()

    async with signed_in(world, root_url=EXTERNAL, allowed_hosts=["web1.example.org", "pool2.example.org"]):
        pass

    assert world.sent()[0] == f"GET {EXTERNAL}"


# What is remembered, and until when


def lost(status=404, code="NotFound", subcode="ApplicationNotFound"):
    return httpx.Response(status, json={"code": code, "subcode": subcode})


EVENTS = "https://pool2.example.org/app/events?ack=1&timeout=180"
HOME = "https://pool3.example.org/ucwa/oauth/v1/applications"


@asynccontextmanager
async def running(world, **settings):
    async with signed_in(world, **settings) as (session, host), anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await anyio.wait_all_tasks_blocked()
        yield session, host
        tasks.cancel_scope.cancel()


async def test_an_application_that_is_made_again_is_made_where_the_last_one_was():
    world = World()
    world.answers[EVENTS] = [lost()]

    async with running(world):
        pass

    assert world.sent().count(f"POST {POOL}") == 3
    assert world.sent().count(f"GET {USER}") == 2


@pytest.mark.parametrize(
    "answer", [httpx.Response(403), httpx.Response(502), lost(410, "Gone", "CannotRedirect"), httpx.ConnectError("no")]
)
async def test_a_remembered_pool_that_refuses_is_looked_for_once(answer):
    world = World()
    world.answers[EVENTS] = [lost()]
    world.answers[POOL] = [httpx.Response(201, json=APPLICATION), answer]
    world.answers[USER] = [ok({"applications": POOL}), ok({"applications": HOME})]
    world.answers[HOME] = httpx.Response(201, json=APPLICATION)

    async with running(world):
        pass

    assert world.sent()[-1] == "DELETE https://pool3.example.org/app"
    assert [sent for sent in world.sent() if "pool2" in sent][-1] == f"POST {POOL}"


async def test_a_user_who_is_moved_is_found_again_after_a_pause_and_the_gap_is_told():
    world = World()
    world.answers[EVENTS] = [lost(410, "Gone", "CannotRedirect")]
    world.answers[USER] = [ok({"applications": POOL}), ok({"applications": HOME})]
    world.answers[HOME] = httpx.Response(201, json=APPLICATION)

    async with running(world) as (_, host):
        assert f"POST {HOME}" not in world.sent()
        await host.clock.advance(5.0)

        assert f"POST {HOME}" in world.sent()
        assert [fact.why for fact in host.facts if isinstance(fact, Gap)] == ["application lost: Gone/CannotRedirect"]


async def test_a_pool_that_does_not_answer_is_looked_for_when_the_channel_is_read_again():
    world = World()
    world.answers[EVENTS] = [httpx.ConnectError("down")] * 3
    world.answers[USER] = [ok({"applications": POOL}), ok({"applications": HOME})]
    world.answers[HOME] = httpx.Response(201, json=APPLICATION)

    async with signed_in(world) as (session, host):
        async with anyio.create_task_group() as tasks:

            async def run():
                with pytest.raises(ProviderError, match="3 times"):
                    await session.run()
                await session.run()

            tasks.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            await host.clock.advance(10.0)
            tasks.cancel_scope.cancel()

        assert f"POST {HOME}" in world.sent()
        assert [fact.why for fact in host.facts if isinstance(fact, Gap)] == ["the user's pool has moved"]
        assert not [fact for fact in host.facts if isinstance(fact, CallReport)]


async def test_tokens_are_renewed_by_the_clock_while_a_read_stays_parked():
    world = World()
    world.lifetime = 1000

    async with running(world) as (_, host):
        before = world.sent().count("GET " + EVENTS)
        await host.clock.advance(899.0)
        assert world.issued == 2
        await host.clock.advance(1.0)

        assert world.issued == 4
        assert world.sent().count("GET " + EVENTS) == before == 1
    assert world.requests[-1].headers["authorization"] == world.tokens["pool2.example.org"]
