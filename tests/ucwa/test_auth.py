"""Signing in to a UCWA server: challenges, tokens, and where they may go."""

from __future__ import annotations

from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import anyio
import httpx
import pytest

from telco_bridge.http import ForeignOrigin, open_client
from telco_bridge.provider import AuthenticationFailed, ProviderError
from telco_bridge_ucwa.auth import SignedClient, parse_challenge
from telco_bridge_ucwa.config import UcwaConfig

HOST = "https://pool.example.org"
TOKEN_URL = f"{HOST}/WebTicket/oauthtoken"
GRANTS = "urn:microsoft.rtc:windows,urn:microsoft.rtc:anonmeeting,password"
BEARER = 'Bearer trusted_issuers="0000@contoso.com,b", client_id="0000", authorization_uri="https://login/oauth2"'
OAUTH = f'MsRtcOAuth href="{TOKEN_URL}",grant_type="{GRANTS}"'
CONFIG = UcwaConfig(application_url=f"{HOST}/apps", username="ada@example.org", password="s3cret")


class Server:
    """Gives out tokens and wants the newest of them."""

    def __init__(self):
        self.requests = []
        self.tokens = 0
        self.valid = None
        self.challenge = [OAUTH]
        self.status = 401
        self.ticket = None

    def answer(self, request):
        self.requests.append(request)
        if request.url.path.lower().startswith("/webticket"):
            if self.ticket is not None:
                return self.ticket
            self.tokens += 1
            self.valid = f"cwt=T{self.tokens}"
            return httpx.Response(200, json={"access_token": self.valid, "token_type": "Bearer", "expires_in": 28289})
        if self.valid is None or request.headers.get("authorization") != f"Bearer {self.valid}":
            return httpx.Response(self.status, headers=[("WWW-Authenticate", value) for value in self.challenge])
        return httpx.Response(204)

    def sent(self):
        return [(request.method, request.url.path) for request in self.requests]


@asynccontextmanager
async def signed(server, config=CONFIG):
    async with open_client(*config.origins, transport=httpx.MockTransport(server.answer)) as client:
        yield SignedClient(client, config)


@pytest.mark.parametrize(
    "values",
    [
        [BEARER, OAUTH],
        [OAUTH, BEARER],
        [f"{BEARER}, {OAUTH}"],
        [f"{OAUTH}, {BEARER}"],
        [f'msrtcoauth href={TOKEN_URL}, grant_type="{GRANTS}"'],
        [f'MsRtcOAuth grant_type="{GRANTS}",href={TOKEN_URL}'],
    ],
)
def test_a_challenge_is_found_apart_or_folded_quoted_or_not(values):
    challenge = parse_challenge(httpx.Headers([("WWW-Authenticate", value) for value in values]))

    assert challenge is not None
    assert challenge.href == TOKEN_URL
    assert challenge.grants == set(GRANTS.split(","))


@pytest.mark.parametrize("value", [BEARER, 'Bearer realm="a MsRtcOAuth b"', 'MsRtcOAuth grant_type="password"', ""])
def test_what_is_no_challenge_is_none(value):
    assert parse_challenge(httpx.Headers({"WWW-Authenticate": value})) is None


@pytest.mark.parametrize("status", [401, 403])
async def test_a_challenged_request_is_repeated_with_a_token(status):
    server = Server()
    server.status = status

    async with signed(server) as client:
        assert (await client.send("POST", f"{HOST}/x", json={"a": 1})).status_code == 204
        assert (await client.send("POST", f"{HOST}/y")).status_code == 204

    assert server.sent() == [
        ("POST", "/x"),
        ("POST", "/WebTicket/oauthtoken"),
        ("POST", "/x"),
        ("POST", "/y"),
    ]
    form = parse_qs(server.requests[1].content.decode())
    assert form == {"grant_type": ["password"], "username": ["ada@example.org"], "password": ["s3cret"]}
    assert server.requests[2].content == b'{"a":1}'
    assert server.requests[3].headers["content-length"] == "0"


async def test_an_expired_token_is_renewed_once():
    server = Server()

    async with signed(server) as client:
        await client.send("GET", f"{HOST}/x")
        server.valid = "another"
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204

    assert server.tokens == 2


async def test_many_requests_share_one_renewal():
    server = Server()

    async with signed(server) as client, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(client.send, "GET", f"{HOST}/{number}")

    assert server.tokens == 1


async def test_a_wrong_password_is_tried_once():
    server = Server()
    server.ticket = httpx.Response(400, json={"error": "invalid_grant"})

    async with signed(server) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationFailed, match=r"ada@example.org.*invalid_grant") as caught:
                await client.send("GET", f"{HOST}/x")
            assert "s3cret" not in str(caught.value)

    assert server.sent().count(("POST", "/WebTicket/oauthtoken")) == 1


@pytest.mark.parametrize(
    "ticket",
    [
        httpx.Response(400, json={"error": "server_error"}),
        httpx.Response(400, text="<html>bad request</html>"),
        httpx.Response(403, text="<html>forbidden</html>"),
        httpx.Response(403, json={"code": "Forbidden"}),
        httpx.Response(401, json={"error": 1}),
    ],
)
async def test_trouble_of_the_token_server_is_not_held_against_the_password(ticket):
    server = Server()
    server.ticket = ticket

    async with signed(server) as client:
        with pytest.raises(AuthenticationFailed):
            await client.send("GET", f"{HOST}/x")
        server.ticket = None
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204


@pytest.mark.parametrize(
    "ticket",
    [
        httpx.Response(200, json={"token": 1}),
        httpx.Response(200, text="<html>cwt=leaked</html>"),
        httpx.Response(503, text="later"),
    ],
)
async def test_an_answer_that_is_no_token_is_an_error_without_its_content(ticket):
    server = Server()
    server.ticket = ticket

    async with signed(server) as client:
        with pytest.raises(ProviderError, match="token") as caught:
            await client.send("GET", f"{HOST}/x")

    assert "leaked" not in str(caught.value)


@pytest.mark.parametrize(
    "ticket",
    [
        httpx.Response(401, text="<html/>"),
        httpx.Response(403, json={"code": "Forbidden"}),
        httpx.Response(400, json={}),
    ],
)
async def test_every_refusal_of_the_token_server_is_a_failed_sign_in(ticket):
    server = Server()
    server.ticket = ticket

    async with signed(server) as client:
        with pytest.raises(AuthenticationFailed):
            await client.send("GET", f"{HOST}/x")


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        ([BEARER], "not MsRtcOAuth"),
        ([f'MsRtcOAuth href="{TOKEN_URL}",grant_type="urn:microsoft.rtc:windows"'], "windows"),
    ],
)
async def test_a_sign_in_that_is_not_possible_is_explained(challenge, words):
    server = Server()
    server.challenge = challenge

    async with signed(server) as client:
        with pytest.raises(AuthenticationFailed, match=words):
            await client.send("GET", f"{HOST}/x")

    assert server.tokens == 0


async def test_a_token_that_is_not_accepted_ends_it():
    server = Server()

    def stubborn(request):
        answer = server.answer(request)
        server.valid = "never"
        return answer

    async with open_client(HOST, transport=httpx.MockTransport(stubborn)) as http:
        with pytest.raises(AuthenticationFailed, match="does not accept"):
            await SignedClient(http, CONFIG).send("GET", f"{HOST}/x")

    assert server.tokens == 1


async def test_a_403_without_a_challenge_is_an_answer():
    server = Server()
    server.status, server.challenge = 403, []

    async with signed(server) as client:
        assert (await client.send("GET", f"{HOST}/x")).status_code == 403


async def test_the_password_goes_to_no_other_host():
    server = Server()
    server.challenge = ['MsRtcOAuth href="https://evil.example.net/oauthtoken",grant_type="password"']

    async with signed(server) as client:
        with pytest.raises(ForeignOrigin, match=r"evil\.example\.net"):
            await client.send("GET", f"{HOST}/x")

    assert server.sent() == [("GET", "/x")]


async def test_a_token_address_that_is_no_url_is_not_followed():
    server = Server()
    server.challenge = ['MsRtcOAuth href="https://pool.example.org:port/",grant_type="password"']

    async with signed(server) as client:
        with pytest.raises(ProviderError, match="no URL") as caught:
            await client.send("GET", f"{HOST}/x")

    assert type(caught.value) is ProviderError


async def test_each_host_has_its_own_token():
    server = Server()
    config = UcwaConfig.model_validate(
        {
            "user_url": f"{HOST}/user",
            "username": "ada",
            "password": "s3cret",
            "allowed_hosts": ["pool2.example.org"],
        }
    )

    async with signed(server, config) as client:
        await client.send("GET", f"{HOST}/x")
        await client.send("GET", "https://pool2.example.org/x")

    assert server.tokens == 2
    assert "authorization" not in server.requests[3].headers


async def test_a_link_that_is_no_url_is_not_sent():
    server = Server()

    async with signed(server) as client:
        with pytest.raises(ProviderError, match=r"GET: .*no URL: https://pool\.example\.org:port/x$") as caught:
            await client.send("GET", "https://ada:s3cret@pool.example.org:port/x?key=s3cret")

    assert type(caught.value) is ProviderError
    assert server.requests == []
