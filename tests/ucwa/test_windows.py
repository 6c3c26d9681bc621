"""Windows sign-in: three messages on one connection, a password that is never sent, and never tried twice."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import random
import threading
from base64 import b64decode
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from telco_bridge.http import ForeignOrigin
from telco_bridge.provider import AuthenticationFailed
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa import config as settings
from telco_bridge_ucwa import windows
from telco_bridge_ucwa.auth import SignedClient
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.emulator.windows import Windows, _md4
from telco_bridge_ucwa.hosts import open_hosts
from telco_bridge_ucwa.session import open_session

from .test_sign_in import Host, asked

HOST = "https://pool.example.org"
GRANT = "urn:microsoft.rtc:windows"
CHALLENGE = {"WWW-Authenticate": f'MsRtcOAuth href="{HOST}/oauthtoken",grant_type="{GRANT}"'}
CONFIG = UcwaConfig(application_url=f"{HOST}/apps", username="EXAMPLE\\ada", password="s3cret", windows=True)
FIRST, SECOND = "TlRMTVNTUAABAAAA", "TlRMTVNTUAADAAAA"
"""How the messages of NTLM begin in base64."""


class Wire:
    """A token address that follows a script, and what it was sent."""

    def __init__(self, *script, streams=()):
        self.script = list(script)
        self.streams = list(streams)
        self.requests = []

    def answer(self, request):
        if request.url.path != "/oauthtoken":
            served = request.headers.get("authorization") == "Bearer cwt=T"
            return httpx.Response(204) if served else httpx.Response(401, headers=CHALLENGE)
        self.requests.append(request)
        answer = self.script.pop(0)
        if self.streams:
            answer.extensions["network_stream"] = self.streams.pop(0)
        return answer

    def proofs(self):
        return [request.headers.get("authorization", "") for request in self.requests]


class Stream:
    """A connection, known by its identity."""

    def get_extra_info(self, info):
        return None


@asynccontextmanager
async def signed(wire, config=CONFIG):
    async with open_hosts(config, transport=httpx.MockTransport(wire.answer)) as hosts:
        yield SignedClient(hosts, config, SteppedClock())


def offered(*schemes):
    return httpx.Response(401, headers=[("WWW-Authenticate", scheme) for scheme in schemes])


def challenged(scheme="NTLM"):
    """The server's message, as the emulator makes it."""
    pool = SimpleNamespace(chance=random.Random(0), settings=SimpleNamespace(username="ada@sandbox.test"))
    first = {"NTLM": "TlRMTVNTUAABAAAAAAAAAAAAAAA=", "Negotiate": "AE5UTE1TU1AAAQAAAAAAAAAAAAAA"}
    ask = SimpleNamespace(headers={"authorization": f"{scheme} {first[scheme]}"}, connection="1")
    return Windows(pool).judge(ask, "").headers[0][1]


TICKET = httpx.Response(200, json={"access_token": "cwt=T", "expires_in": 28289})


@pytest.mark.parametrize("username", ["ada@sandbox.test", "SANDBOX\\ada"])
async def test_the_user_signs_in_by_both_forms_of_the_name(serve, username):
    served = serve(grants=[GRANT])
    profile = served.emulator.profile() | {"username": username, "windows": True, "provider": None}
    del profile["provider"]

    async with open_session(UcwaConfig.model_validate(profile), Host(served.exchange.clock)):
        assert len(served.emulator.applications) == 1

    assert [answer[:3] for answer in asked(served, "POST oauthtoken")] == ["401", "401", "200"]


async def test_a_wrong_password_is_judged_once_and_said_without_it(served):
    profile = served.emulator.profile() | {"password": "difference-engine", "windows": True}
    del profile["provider"]
    config = UcwaConfig.model_validate(profile)

    async with open_hosts(config) as hosts:
        client = SignedClient(hosts, config, served.exchange.clock)
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match=r"ada@sandbox\.test.*not tried again") as caught:
                await client.send("GET", config.user_url)
            assert "difference" not in str(caught.value)

    assert len(asked(served, "POST oauthtoken")) == 3


async def test_the_bare_scheme_is_taken_where_there_is_no_other():
    wire = Wire(offered("NTLM"), offered(challenged()), TICKET)

    async with signed(wire) as client:
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204

    first, second = (proof.partition(" ") for proof in wire.proofs()[1:])
    assert (first[0], second[0]) == ("NTLM", "NTLM")
    assert first[2].startswith(FIRST)
    assert second[2].startswith(SECOND)
    assert all(request.content == b"grant_type=urn%3Amicrosoft.rtc%3Awindows" for request in wire.requests)
    assert b"s3cret" not in b64decode(second[2])
    assert "EXAMPLE".encode("utf-16-le") in b64decode(second[2])


async def test_a_refusal_before_the_proof_is_not_held_against_the_password():
    wire = Wire(offered("NTLM"), offered("NTLM"), offered("NTLM"), offered(challenged()), TICKET)

    async with signed(wire) as client:
        with pytest.raises(AuthenticationFailed, match="did not judge"):
            await client.send("GET", f"{HOST}/x")
        assert (await client.send("GET", f"{HOST}/x")).status_code == 204


async def test_a_message_after_the_proof_that_is_none_is_the_refusal():
    # SPNEGO may refuse with a message of its own.
    wrapped = challenged("Negotiate")
    wire = Wire(offered("Negotiate"), offered(wrapped), offered("Negotiate Z2FyYmFnZQ=="))

    async with signed(wire) as client:
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match="not tried again"):
                await client.send("GET", f"{HOST}/x")

    assert len(wire.requests) == 3


async def test_a_message_that_is_none_in_place_of_the_challenge_is_explained():
    wire = Wire(offered("NTLM"), offered("NTLM Z2FyYmFnZQ=="))

    async with signed(wire) as client:
        with pytest.raises(AuthenticationFailed, match=r"cannot be made here.*username and password"):
            await client.send("GET", f"{HOST}/x")


async def test_a_connection_that_is_closed_within_the_handshake_is_no_judgement():
    one, other = Stream(), Stream()
    wire = Wire(offered("NTLM"), offered(challenged()), offered("NTLM"), streams=[one, one, other])

    async with signed(wire) as client:
        with pytest.raises(AuthenticationFailed, match="closes the connection"):
            await client.send("GET", f"{HOST}/x")


async def test_a_server_that_asks_for_no_handshake_is_believed():
    wire = Wire(httpx.Response(400, json={"error": "unsupported_grant_type"}))

    async with signed(wire) as client:
        with pytest.raises(AuthenticationFailed, match="unsupported_grant_type"):
            await client.send("GET", f"{HOST}/x")


async def test_without_a_password_and_a_ticket_it_is_said_before_anything_is_proved(monkeypatch, tmp_path):
    monkeypatch.delenv("NTLM_USER_FILE", raising=False)
    monkeypatch.setenv("KRB5CCNAME", str(tmp_path / "none"))
    wire = Wire(offered("Negotiate", "NTLM"))

    async with signed(wire, UcwaConfig(application_url=f"{HOST}/apps", windows=True)) as client:
        with pytest.raises(AuthenticationFailed, match=r"the user of this program.*klist"):
            await client.send("GET", f"{HOST}/x")

    assert wire.proofs() == [""]


async def test_the_handshake_is_made_with_no_host_that_is_not_allowed():
    def lead_astray(request):
        href = 'MsRtcOAuth href="https://evil.example.net/t",grant_type="' + GRANT + '"'
        return httpx.Response(401, headers={"WWW-Authenticate": href})

    async with open_hosts(CONFIG, transport=httpx.MockTransport(lead_astray)) as hosts:
        with pytest.raises(ForeignOrigin, match=r"evil\.example\.net"):
            await SignedClient(hosts, CONFIG, SteppedClock()).send("GET", f"{HOST}/x")


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)

    with pytest.raises(ValidationError, match=r"telco-bridge\[windows\]"):
        UcwaConfig(application_url=f"{HOST}/apps", windows=True)


@pytest.mark.parametrize(
    ("values", "offers"),
    [
        (["Negotiate", "NTLM"], {"negotiate": None, "ntlm": None}),
        (["Negotiate, NTLM"], {"negotiate": None, "ntlm": None}),
        (["ntlm TlRM"], {"ntlm": b"NTL"}),
        (["Negotiate TlRM, NTLM"], {"negotiate": b"NTL", "ntlm": None}),
        (['Bearer realm="a, NTLM, b"', "NTLM"], {"ntlm": None}),
        (["NTLM x"], {"ntlm": None}),
        (['MsRtcOAuth href="https://x/",grant_type="NTLM,password"'], {}),
        (["Basic"], {}),
        ([], {}),
    ],
)
def test_what_a_server_offers_is_read(values, offers):
    assert windows.parse_offers(httpx.Headers([("WWW-Authenticate", value) for value in values])) == offers


@pytest.mark.parametrize(("kind", "expected"), [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384")])
def test_the_handshake_is_tied_to_the_servers_certificate(kind, expected):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pool.example.org")])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + dt.timedelta(days=1))
    certificate = built.sign(key, kind).public_bytes(serialization.Encoding.DER)

    told = windows._bindings(certificate).application_data
    assert told == b"tls-server-end-point:" + hashlib.new(expected, certificate).digest()


@pytest.mark.parametrize(
    "identity",
    [
        {"windows": True, "token_source": ["print-token"]},
        {"windows": True, "conference_key": "k", "conference_uri": "sip:ada@example.org;x"},
        {"windows": True, "password": "s3cret"},
        {"windows": False},
    ],
)
def test_windows_sign_in_is_one_identity_among_the_others(identity):
    with pytest.raises(ValidationError):
        UcwaConfig.model_validate({"application_url": f"{HOST}/apps", **identity})


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("message digest", "d9130a8164549fe818874806e1c7014b"),
        ("1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_the_emulators_digest_is_that_of_the_rfc(text, digest):
    assert _md4(text.encode()).hex() == digest


async def test_the_messages_of_a_handshake_are_in_no_log(caplog):
    wire = Wire(offered("NTLM"), offered(challenged()), TICKET)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("spnego._ntlm").setLevel(logging.DEBUG)

    try:
        async with signed(wire) as client:
            await client.send("GET", f"{HOST}/apps")
        logging.getLogger("spnego._ntlm").debug("for somebody else")
    finally:
        logging.getLogger("spnego._ntlm").setLevel(logging.NOTSET)

    proof = wire.proofs()[-1].partition(" ")[2]
    assert proof.startswith(SECOND)
    assert proof not in caplog.text
    assert FIRST not in caplog.text
    assert "for somebody else" in caplog.text


async def test_a_ticket_that_never_comes_holds_up_nothing_for_ever(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(windows, "_PATIENCE", 0.01)
    monkeypatch.setattr("spnego.client", lambda *_, **__: release.wait(5))

    async with signed(Wire(offered("NTLM"))) as client:
        with pytest.raises(AuthenticationFailed, match="no ticket for"):
            await client.send("GET", f"{HOST}/apps")
    release.set()
