"""Signing in to a UCWA server: challenges, tokens, and where they may go."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from telco_bridge.http import ForeignOrigin
from telco_bridge.provider import AuthenticationFailed, ProviderError
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.auth import SignedClient, parse_challenge
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.hosts import open_hosts
from telco_bridge_ucwa.tokens import Token

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
async def signed(server, config=CONFIG, clock=None):
    async with open_hosts(config, transport=httpx.MockTransport(server.answer)) as hosts:
        yield SignedClient(hosts, config, clock or SteppedClock())


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

    async with open_hosts(CONFIG, transport=httpx.MockTransport(stubborn)) as hosts:
        with pytest.raises(AuthenticationFailed, match="does not accept"):
            await SignedClient(hosts, CONFIG, SteppedClock()).send("GET", f"{HOST}/x")

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


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=30)
SCHEMES = st.sampled_from(["Bearer", "Negotiate", "NTLM", "Basic"])


@given(
    before=st.lists(st.tuples(SCHEMES, WORDS)),
    after=st.lists(st.tuples(SCHEMES, WORDS)),
    path=st.text("abcdefghij/-._~", min_size=1),
    grants=st.sets(st.sampled_from(GRANTS.split(",")), min_size=1),
    quoted=st.booleans(),
    folded=st.booleans(),
    swapped=st.booleans(),
    scheme=st.sampled_from(["MsRtcOAuth", "msrtcoauth", "MSRTCOAUTH"]),
)
def test_a_challenge_is_found_whatever_stands_around_it(before, after, path, grants, quoted, folded, swapped, scheme):
    href = f"{HOST}/{path}"
    own = [f'href="{href}"' if quoted else f"href={href}", f'grant_type="{",".join(sorted(grants))}"']
    if swapped:
        own.reverse()
    values = [f'{name} realm="{words}"' for name, words in before]
    values += [f"{scheme} {','.join(own)}"]
    values += [f'{name} realm="{words}"' for name, words in after]
    if folded:
        values = [", ".join(values)]

    challenge = parse_challenge(httpx.Headers([("WWW-Authenticate", value) for value in values]))

    assert challenge is not None
    assert (challenge.href, challenge.grants) == (href, grants)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_header_is_too_odd_to_be_read(text):
    parse_challenge(httpx.Headers({"WWW-Authenticate": text}))
    parse_challenge(httpx.Headers({"WWW-Authenticate": f"MsRtcOAuth {text}"}))


# The life of tokens


async def test_a_token_is_replaced_after_nine_tenths_of_its_life():
    server, clock = Server(), SteppedClock()

    async with signed(server, clock=clock) as client:
        await client.send("GET", f"{HOST}/x")
        await clock.advance(28289 * 0.9 - 1)
        await client.send("GET", f"{HOST}/x")
        assert server.tokens == 1
        await clock.advance(2)
        await client.send("GET", f"{HOST}/x")

    assert server.tokens == 2
    assert server.sent()[-2:] == [("POST", "/WebTicket/oauthtoken"), ("GET", "/x")]


async def test_a_token_that_cannot_be_replaced_yet_serves_on_and_is_not_asked_for_at_every_request():
    server, clock = Server(), SteppedClock()

    async with signed(server, clock=clock) as client:
        await client.send("GET", f"{HOST}/x")
        await clock.advance(28289 * 0.95)
        server.ticket = httpx.Response(503)
        for _ in range(3):
            assert (await client.send("GET", f"{HOST}/x")).status_code == 204
        assert server.sent().count(("POST", "/WebTicket/oauthtoken")) == 2
        server.ticket = None
        await clock.advance(60)
        await client.send("GET", f"{HOST}/x")

    assert server.tokens == 2


@pytest.mark.parametrize("lifetime", [None, "soon", -5, 0, True, "NaN", [1]])
async def test_a_life_that_is_no_number_is_left_to_the_server(lifetime):
    server, clock = Server(), SteppedClock()
    server.ticket = httpx.Response(200, json={"access_token": "cwt=T", "expires_in": lifetime})
    server.valid = "cwt=T"

    async with signed(server, clock=clock) as client:
        await client.send("GET", f"{HOST}/x")
        await clock.advance(1_000_000)
        await client.send("GET", f"{HOST}/x")

    assert server.sent().count(("POST", "/WebTicket/oauthtoken")) == 1


async def test_a_renewal_that_is_refused_is_told_when_the_token_has_expired():
    server, clock = Server(), SteppedClock()

    async with signed(server, clock=clock) as client:
        await client.send("GET", f"{HOST}/x")
        server.ticket = httpx.Response(400, json={"error": "invalid_grant"})
        await clock.advance(28289 * 0.95)
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204
        server.valid = "another"
        with pytest.raises(AuthenticationFailed, match="invalid_grant"):
            await client.send("GET", f"{HOST}/x")

    assert server.sent().count(("POST", "/WebTicket/oauthtoken")) == 2


# Other ways to a token


GUEST = UcwaConfig.model_validate(
    {
        "application_url": f"{HOST}/apps",
        "conference_uri": "sip:ada@example.org;gruu;opaque=app:conf:focus:id:K1",
        "conference_key": "k3y",
    }
)


async def test_a_guest_signs_in_with_the_meetings_key_and_stays_the_same_guest():
    server, clock = Server(), SteppedClock()

    async with signed(server, GUEST, clock) as client:
        await client.send("GET", f"{HOST}/x")
        await clock.advance(28289 * 0.9)
        await client.send("GET", f"{HOST}/x")

    forms = [parse_qs(r.content.decode()) for r in server.requests if r.method == "POST"]
    first = {
        "grant_type": ["urn:microsoft.rtc:anonmeeting"],
        "password": ["k3y"],
        "ms_rtc_conferenceuri": ["sip:ada@example.org;gruu;opaque=app:conf:focus:id:K1"],
    }
    assert forms == [first, {**first, "ms_rtc_renew": ["cwt=T1"]}]


async def test_a_server_that_lets_no_guests_in_says_so():
    server = Server()
    server.challenge = [f'MsRtcOAuth href="{TOKEN_URL}",grant_type="password"']

    async with signed(server, GUEST) as client:
        with pytest.raises(AuthenticationFailed, match="anonmeeting grant, only password"):
            await client.send("GET", f"{HOST}/x")

    assert server.tokens == 0


def sourced(source):
    return UcwaConfig.model_validate({"application_url": f"{HOST}/apps", "token_source": source})


async def test_a_function_may_fetch_the_tokens_and_is_told_what_for():
    server, clock, asked = Server(), SteppedClock(), []

    async def source(request):
        asked.append(request)
        server.valid = f"mine{len(asked)}"
        return Token(value=SecretStr(server.valid), lifetime=100.0)

    async with signed(server, sourced(source), clock) as client:
        await client.send("GET", f"{HOST}/x")
        await clock.advance(90)
        await client.send("GET", f"{HOST}/x")

    assert [(r.host, r.href, r.grants) for r in asked] == [(f"{HOST}:443", TOKEN_URL, set(GRANTS.split(",")))] * 2
    assert server.tokens == 0


async def fails(_):
    raise RuntimeError("cwt=leaked")


async def is_odd(_):
    return "cwt=leaked"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (fails, "RuntimeError"),
        (is_odd, "returned str, not a Token"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "status 3"),
        ([sys.executable, "-c", "print('cwt=leaked and more')"], "printed neither"),
        ([sys.executable, "-c", "print('{')"], "printed neither"),
        (["/nowhere/at-all"], "could not be started"),
    ],
)
async def test_a_source_that_fails_says_how_and_shows_no_token(source, words):
    async with signed(Server(), sourced(source)) as client:
        with pytest.raises(AuthenticationFailed, match=words) as caught:
            await client.send("GET", f"{HOST}/x")

    assert "leaked" not in str(caught.value)


async def waits(_):
    await anyio.sleep_forever()


async def test_a_source_that_never_answers_holds_up_nothing_for_ever(monkeypatch):
    monkeypatch.setattr("telco_bridge_ucwa.auth._PATIENCE", 0.01)

    async with signed(Server(), sourced(waits)) as client:
        with pytest.raises(AuthenticationFailed, match="TimeoutError"), anyio.fail_after(5):
            await client.send("GET", f"{HOST}/x")


async def breaks_the_line(_):
    return Token(value=SecretStr("cwt=leaked\r\nX: y"))


async def test_a_token_that_no_header_may_hold_is_neither_sent_nor_shown():
    server = Server()

    async with signed(server, sourced(breaks_the_line)) as client:
        with pytest.raises(AuthenticationFailed, match="no header") as caught:
            await client.send("GET", f"{HOST}/x")

    assert "leaked" not in str(caught.value)
    assert server.sent() == [("GET", "/x")]


@pytest.mark.parametrize(
    "program",
    [
        "print('cwt=mine')",
        "import json; print(json.dumps({'access_token': 'cwt=mine', 'expires_in': 3600}))",
        f"import os; assert os.environ['TELCO_BRIDGE_TOKEN_HOST'] == '{HOST}:443'; print('cwt=mine')",
        f"import os; assert os.environ['TELCO_BRIDGE_TOKEN_HREF'] == '{TOKEN_URL}'; print('cwt=mine')",
    ],
)
async def test_a_command_may_print_the_token(program):
    server = Server()
    server.valid = "cwt=mine"

    async with signed(server, sourced([sys.executable, "-c", program])) as client:
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204


async def test_a_secret_is_shown_by_nothing_that_can_be_printed():
    server = Server()

    async with signed(server) as client:
        await client.send("GET", f"{HOST}/x")
        shown = repr([client, vars(client), CONFIG, GUEST, sourced(["vault", "--key=k3y"])])

    assert not [secret for secret in ("s3cret", "k3y", "cwt=") if secret in shown]


async def test_a_description_is_sent_as_it_is_and_again_with_a_token():
    server = Server()

    async with signed(server) as client:
        assert (await client.describe(f"{HOST}/answer?processedOfferId=1", "v=0\r\n")).status_code == 204

    sent = [r for r in server.requests if r.url.path == "/answer"]
    assert [(r.content, r.headers["content-type"]) for r in sent] == [(b"v=0\r\n", "application/sdp")] * 2


WORDS_OF_A_PAGE = "Service does not allow a cross domain request from this origin."


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(403, headers={"X-Ms-diagnostics": f'source="pool";reason="{WORDS_OF_A_PAGE}"'}),
        httpx.Response(403, text=f"<html>{WORDS_OF_A_PAGE}</html>"),
        httpx.Response(403, extensions={"reason_phrase": WORDS_OF_A_PAGE.encode()}),
        httpx.Response(403, headers={"WWW-Authenticate": OAUTH, "Warning": f'1 x "{WORDS_OF_A_PAGE}"'}),
    ],
)
async def test_a_refused_origin_is_the_proxys_fault_and_no_reason_for_another_token(refusal):
    sent = []

    def answer(request):
        sent.append(request)
        return refusal

    async with open_hosts(CONFIG, transport=httpx.MockTransport(answer)) as hosts:
        with pytest.raises(AuthenticationFailed, match=r"allowed origins.*proxy"):
            await SignedClient(hosts, CONFIG, SteppedClock()).send("GET", f"{HOST}/x")

    assert len(sent) == 1
    assert not {"origin", "x-ms-origin", "referer"} & set(sent[0].headers)


async def test_a_sign_in_on_another_page_is_not_held_against_the_password():
    server = Server()
    passive = {"error": "invalid_grant", "ms_rtc_passiveauthuri": f"{HOST}/PassiveAuth.aspx?key=leaked"}
    server.ticket = httpx.Response(400, json=passive)

    async with signed(server) as client:
        with pytest.raises(AuthenticationFailed, match=r"AD FS.*token_source") as caught:
            await client.send("GET", f"{HOST}/x")
        server.ticket = None
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204

    assert "leaked" not in str(caught.value)


async def test_what_the_server_says_for_its_operators_is_logged_in_one_line(caplog):
    server = Server()
    words = '28029;source="pool";reason="No."'
    server.ticket = httpx.Response(400, json={"error": "server_error"}, headers={"X-Ms-diagnostics": words})

    caplog.set_level("INFO", logger="telco_bridge")
    async with signed(server) as client:
        with pytest.raises(AuthenticationFailed):
            await client.send("GET", f"{HOST}/x?key=leaked")

    assert caplog.messages == [f"ucwa: POST {TOKEN_URL}: HTTP 400: {words}"]


@pytest.mark.parametrize(
    ("grants", "settings", "words"),
    [
        ("urn:microsoft.rtc:windows", {"password": "s3cret"}, "Set windows = true"),
        ("urn:microsoft.rtc:passive", {"password": "s3cret"}, "forms sign-in, or set token_source"),
        ("password", {"password": "s3cret", "windows": True}, "Leave windows out"),
        ("password", {"conference_key": "k", "conference_uri": "sip:ada@example.org;x"}, "Guests may not join"),
    ],
)
async def test_a_grant_that_is_not_offered_is_answered_with_what_to_do(grants, settings, words):
    server = Server()
    server.challenge = [f'MsRtcOAuth href="{TOKEN_URL}",grant_type="{grants}"']
    config = UcwaConfig.model_validate({"application_url": f"{HOST}/a", "username": "ada@example.org", **settings})

    async with signed(server, config) as client:
        with pytest.raises(AuthenticationFailed, match=words):
            await client.send("GET", f"{HOST}/x")

    assert server.tokens == 0


@pytest.mark.parametrize(
    ("challenge", "wanted"),
    [
        ([BEARER], ("", frozenset(), "https://login/oauth2")),
        ([BEARER, OAUTH], (TOKEN_URL, frozenset(GRANTS.split(",")), "https://login/oauth2")),
        ([OAUTH], (TOKEN_URL, frozenset(GRANTS.split(",")), None)),
    ],
)
async def test_a_token_source_is_told_of_the_azure_ad_that_a_server_names(challenge, wanted):
    server, asked = Server(), []
    server.challenge = challenge

    async def fetch(request):
        asked.append((request.href, request.grants, request.authority))
        server.valid = "aad"
        return Token(value=SecretStr("aad"))

    config = UcwaConfig(application_url=f"{HOST}/apps", token_source=fetch)
    async with signed(server, config) as client:
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204

    assert asked == [wanted]
