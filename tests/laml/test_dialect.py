"""A second carrier is a dialect and a configuration: here Twilio's, whose documented differences are data."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
import respx
from pydantic import Field, SecretStr
from twilio.request_validator import RequestValidator

from telco_bridge.provider import (
    AudioFormat,
    CallState,
    Dial,
    Encoding,
    HangUp,
    MediaDirection,
    MediaEndpoint,
    Modality,
    Refused,
    Say,
    StartMedia,
    WebRequest,
)
from telco_bridge.sandbox import SteppedClock
from telco_bridge_laml.config import LamlConfig
from telco_bridge_laml.dialect import Dialect
from telco_bridge_laml.encode import connection
from telco_bridge_laml.session import connect

ORIGIN = "https://api.twilio.example"
BASE = f"{ORIGIN}/2010-04-01/Accounts/AC1"
KEY = "12345"


def is_signed(request: WebRequest, keys) -> bool:
    """Checked by Twilio's own validator."""
    claimed = request.headers.get("x-twilio-signature", "")
    form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return any(RequestValidator(key).validate(request.url, form, claimed) for key in keys)


TWILIO = Dialect(provider="twilio", title="Twilio", is_signed=is_signed, json_suffix=".json")


class TwilioConfig(LamlConfig):
    dialect: ClassVar[Dialect] = TWILIO

    account_sid: str = Field()

    @property
    def account(self) -> str:
        return self.account_sid

    @property
    def api_url(self) -> str:
        return f"{ORIGIN}/2010-04-01"


CONFIG = TwilioConfig(account_sid="AC1", token=SecretStr(KEY), signing_key=SecretStr(KEY), caller_id="+15550100001")


class Host:
    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.facts = []
        self.last = 0.0

    def stamp(self) -> float:
        self.last += 1
        return self.last

    def report(self, *facts) -> None:
        self.facts += facts

    def url(self, path: str, **query: str) -> str:
        return f"https://app.example.net/{path}" + (f"?{urlencode(query)}" if query else "")

    def media(self, endpoint):
        return None


@pytest.fixture
def carrier():
    router = respx.MockRouter(assert_all_called=False)
    empty = {"calls": [], "next_page_uri": None}
    router.get(f"{BASE}/Calls.json").respond(json=empty)
    queued = {"sid": "CA1", "status": "queued", "direction": "outbound-api", "to": "+15550100002"}
    router.post(f"{BASE}/Calls.json", name="dial").respond(201, json=queued)
    router.post(f"{BASE}/Calls/CA1.json", name="update").respond(json={**queued, "status": "in-progress"})
    return router


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def session(carrier, host):
    async with connect(CONFIG, host, transport=httpx.MockTransport(carrier.async_handler)) as opened:
        yield opened


async def test_a_call_is_made_by_the_carriers_own_paths_and_answers(session, carrier, host):
    await session.execute(Dial(id="call-1", call="call-1", to="+15550100002"))
    await session.execute(Say(id="say-1", call="call-1", ref="CA1", text="hello"))
    await session.execute(HangUp(id="end-1", call="call-1", ref="CA1"))

    assert [report.ref for report in host.facts] == ["CA1"] * 3
    assert host.facts[0].state is CallState.QUEUED
    assert carrier["dial"].calls[0].request.headers["authorization"].startswith("Basic ")
    assert len(carrier["update"].calls) == 2
    assert session.native is None


async def test_a_callback_is_checked_as_the_carrier_signs_it(session, host):
    url = host.url("status", call="call-1")
    form = {"CallSid": "CA1", "CallStatus": "busy", "Direction": "outbound-api", "SipResponseCode": "486"}
    signature = RequestValidator(KEY).compute_signature(url, form)

    def told(signed: str) -> WebRequest:
        headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signed}
        query = url.partition("?")[2]
        return WebRequest(
            method="POST", path="status", query=query, url=url, headers=headers, body=urlencode(form).encode()
        )

    assert (await session.receive(told(signature))).status == 204
    assert (await session.receive(told("forged"))).status == 403
    (report,) = host.facts
    assert (report.state, report.command_id, report.cause.sip) == (CallState.ENDED, "call-1", 486)


async def test_errors_name_the_provider_whose_words_they_are(session):
    with pytest.raises(Refused) as refused:
        await session.execute(Dial(id="call-1", call="call-1", to="nonsense"))

    assert refused.value.provider == "twilio"


def test_a_stream_has_only_the_attributes_that_the_carrier_knows(host):
    endpoint = MediaEndpoint(
        id="m",
        url="wss://app.example.net/media/m",
        bearer=SecretStr("the-bearer"),
        secret_url=None,
        direction=MediaDirection.BOTH,
        format=AudioFormat(Encoding.PCM16, 16_000),
        required=True,
    )
    start = StartMedia(id="cmd-1", call="call-1", ref="CA1", modality=Modality.AUDIO, endpoint=endpoint)

    (stream,) = connection(start, endpoint, CONFIG, host.url).children

    assert set(stream.attributes) == {"url", "name", "statusCallback"}
