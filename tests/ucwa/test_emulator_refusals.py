"""The emulated server refuses as real ones do, and does the same twice for the same seed."""

from __future__ import annotations

from base64 import b64decode, b64encode

import httpx
import pytest
import spnego

from telco_bridge.provider import AuthenticationFailed
from telco_bridge.sandbox import Fault
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.session import open_session

from .test_sign_in import Host, asked


def heard(served):
    """What a client is told that signs in and asks for a call."""
    client = served.connect()
    answers = []
    client.http.event_hooks["response"].append(answers.append)
    client.sign_in()
    client.start("startPhoneAudio", to="+15550100", operationId="1")
    return [(answer.status_code, answer.headers.get("location"), answer.content) for answer in answers]


def test_the_same_seed_and_the_same_requests_are_answered_the_same(serve):
    def run(seed):
        served = serve(seed=seed, absolute_links=0.0, speed=1.0)
        served.exchange.now = lambda: 0.0
        own = served.emulator.url.encode()
        return [(status, place, body.replace(own, b"")) for status, place, body in heard(served)]

    once = run(7)

    assert run(7) == once
    assert run(8) != once


@pytest.mark.parametrize("name", ["Origin", "X-Ms-Origin"])
def test_a_web_page_that_is_not_on_the_list_is_refused_in_a_header(serve, name):
    served = serve(allowed_origins=["https://crm.example.org"])
    user = served.emulator.profile()["user_url"]

    refused = httpx.get(user, headers={name: "https://evil.example.net"})
    allowed = httpx.get(user, headers={name: "https://crm.example.org"})

    assert (refused.status_code, allowed.status_code) == (403, 401)
    assert "cross domain request" in refused.headers["x-ms-diagnostics"]
    assert "www-authenticate" not in refused.headers


@pytest.mark.parametrize("word", ["server_error", "invalid_scope"])
async def test_the_token_service_fails_on_demand_and_the_password_is_tried_again(served, word):
    settings = {k: v for k, v in served.emulator.profile().items() if k != "provider"}
    config = UcwaConfig.model_validate(settings)
    served.emulator.faults.inject(Fault.SERVER_ERROR, on="POST oauthtoken", oauth=word)

    with pytest.raises(AuthenticationFailed, match=rf"{word}.*did not judge"):
        async with open_session(config, Host(served.exchange.clock)):
            pass
    async with open_session(config, Host(served.exchange.clock)):
        pass

    assert [answer[:3] for answer in asked(served, "POST oauthtoken")] == ["400", "200"]


@pytest.mark.parametrize("grants", [["urn:microsoft.rtc:passive", "password"]])
def test_the_passive_grant_leads_to_the_organizations_page(serve, grants):
    served = serve(grants=grants)
    challenge = httpx.get(served.emulator.profile()["user_url"]).headers.get_list("www-authenticate")[1]

    answer = httpx.post(challenge.split('href="')[1].split('"')[0], data={"grant_type": grants[0]})

    assert answer.json()["error"] == "invalid_grant"
    assert answer.json()["ms_rtc_passiveauthuri"].endswith("/PassiveAuth.aspx")


def test_a_handshake_is_finished_only_on_the_connection_where_it_began(served):
    settings = served.emulator.profile()
    challenge = httpx.get(settings["user_url"]).headers.get_list("www-authenticate")[1]
    href = challenge.split('href="')[1].split('"')[0]
    form = {"grant_type": "urn:microsoft.rtc:windows"}
    context = spnego.client(settings["username"], settings["password"], hostname="pool", protocol="ntlm")

    def header(message):
        return {"Authorization": f"NTLM {b64encode(message).decode()}"}

    with httpx.Client() as one:
        begun = one.post(href, data=form, headers=header(context.step()))
        scheme, _, message = begun.headers["www-authenticate"].partition(" ")
        proof = header(context.step(b64decode(message)))
        elsewhere = httpx.post(href, data=form, headers=proof)
        here = one.post(href, data=form, headers=proof)
        again = one.post(href, data=form, headers=proof)

    assert scheme == "NTLM"
    assert [answer.status_code for answer in (begun, elsewhere, here, again)] == [401, 401, 200, 401]
    assert elsewhere.headers.get_list("www-authenticate") == ["Negotiate", "NTLM"]
