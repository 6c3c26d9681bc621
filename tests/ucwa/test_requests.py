"""What is written above and around a body: forms, lengths, versions."""

from __future__ import annotations

import json
import math

import httpx
import pytest

import telco_bridge
from telco_bridge.media import Modality
from telco_bridge.provider import CallState, Dial, EndedBy, Hold, TerminationReason
from telco_bridge.sandbox import Exchange, SteppedClock
from telco_bridge.serving import Server
from telco_bridge_ucwa.auth import SignedClient
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.emulator import UcwaEmulator, answers
from telco_bridge_ucwa.emulator.xml import document
from telco_bridge_ucwa.encode import WireRequest
from telco_bridge_ucwa.hosts import open_hosts
from telco_bridge_ucwa.session import open_session

POOL = "https://pool.example.org"
XML = "application/vnd.microsoft.com.ucwa+xml"
C = "/app/c1"
OFFER = "v=0\r\nm=audio 4000 RTP/SAVP 0\r\n"


class Host:
    """Takes what is reported."""

    def __init__(self):
        self.clock = SteppedClock()
        self.last = 0.0

    def stamp(self):
        self.last = math.nextafter(max(self.last, self.clock.now()), math.inf)
        return self.last

    def report(self, *facts):
        """Nobody asks for them."""

    def url(self, path, **query):
        return None


class Pool:
    """Offers a conversation that can be held, and all that starts a call; remembers what it was sent."""

    def __init__(self):
        self.requests = {}

    def handle(self, request):
        self.requests[f"{request.method} {request.url.path}"] = request
        starts = {rel: {"href": f"/app/{rel}"} for rel in ("startPhoneAudio", "startAudio")}
        match request.method, request.url.path:
            case "POST", "/apps":
                communication = {"_links": {"self": {"href": "/app/communication"}, **starts}}
                links = {"self": {"href": "/app"}, "events": {"href": "/app/events?ack=1"}}
                return httpx.Response(201, json={"_links": links, "_embedded": {"communication": communication}})
            case "GET", "/app/c1":
                links = {"self": {"href": C}, "phoneAudio": {"href": f"{C}/phone"}}
                return httpx.Response(200, json={"state": "Connected", "_links": links})
            case "GET", "/app/c1/phone":
                links = {"self": {"href": f"{C}/phone"}, "holdPhoneAudio": {"href": f"{C}/hold"}}
                return httpx.Response(200, json={"state": "Connected", "_links": links})
            case _:
                return httpx.Response(204)

    async def take(self, command, **settings):
        config = {"application_url": f"{POOL}/apps", "username": "ada", "password": "s3cret", **settings}
        transport = httpx.MockTransport(self.handle)
        async with open_session(UcwaConfig.model_validate(config), Host(), transport=transport) as session:
            await session.execute(command)


def dial(**more):
    return Dial(id="call-1", call="call-1", to="+14255550199", **more)


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_an_empty_post_says_that_it_is_empty(form):
    pool = Pool()

    await pool.take(Hold(id="h-1", call="call-1", ref=C), format=form)

    held = pool.requests[f"POST {C}/hold"]
    assert (held.headers["content-length"], held.content) == ("0", b"")
    assert "content-type" not in held.headers


async def test_bodies_and_answers_have_the_configured_form():
    in_json, in_xml = Pool(), Pool()

    await in_json.take(dial())
    await in_xml.take(dial(), format="xml")

    plain, marked = (pool.requests["POST /app/startPhoneAudio"] for pool in (in_json, in_xml))
    assert (plain.headers["accept"], plain.headers["content-type"]) == ("application/json", "application/json")
    assert json.loads(plain.content) == {"operationId": "call-1", "to": "tel:+14255550199"}
    assert (marked.headers["accept"], marked.headers["content-type"]) == (XML, XML)
    assert b'<property name="to">tel:+14255550199</property>' in marked.content


async def test_an_offer_which_xml_would_lose_goes_as_json_and_the_answer_comes_as_xml():
    pool = Pool()

    await pool.take(dial(modalities=frozenset({Modality.AUDIO}), offer=OFFER), format="xml")

    sent = pool.requests["POST /app/startAudio"]
    assert (sent.headers["accept"], sent.headers["content-type"]) == (XML, "application/json")
    assert json.loads(sent.content)["_links"]["mediaOffer"]["href"].startswith("data:application/sdp;base64,")


async def test_the_second_revision_is_asked_for_only_where_an_input_needs_it():
    pool = Pool()

    await pool.take(dial(native={"customContent": "data:text/plain,Hi"}))
    with_content = pool.requests["POST /app/startPhoneAudio"]
    await pool.take(dial(native={"subject": "demo"}))

    assert with_content.headers["x-ms-requiresminresourceversion"] == "2"
    assert "x-ms-requiresminresourceversion" not in pool.requests["POST /app/startPhoneAudio"].headers
    assert WireRequest(what="x", href="/x", body={"_links": "odd"}).revision is None


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_a_session_description_goes_as_it_is(form):
    pool = Pool()
    settings = {"application_url": f"{POOL}/apps", "username": "ada", "password": "s3cret", "format": form}
    config = UcwaConfig.model_validate(settings)
    async with open_hosts(config, transport=httpx.MockTransport(pool.handle)) as hosts:
        await SignedClient(hosts, config, SteppedClock()).describe(f"{POOL}/answer", OFFER)

    sent = pool.requests["POST /answer"]
    assert (sent.content, sent.headers["content-type"]) == (OFFER.encode(), "application/sdp")
    assert sent.headers["accept"] == config.format.media_type


# The emulated server


def test_the_emulator_answers_in_xml_where_it_is_asked_to(client):
    me = client.url(client.application["_links"]["self"]["href"])
    wanted = {"Accept": "application/xml"}

    shown = client.http.get(me, headers=wanted)
    nowhere = client.http.get(f"{me}x", headers=wanted)
    refused = client.http.post(
        client.url(client.application["_embedded"]["communication"]["_links"]["startPhoneAudio"]["href"]),
        content='<input><property name="operationId">op-1</property></input>',
        headers={**wanted, "Content-Type": "application/xml"},
    )

    assert shown.headers["content-type"].startswith(XML)
    assert '<resource rel="application" href=' in shown.text
    assert (nowhere.status_code, nowhere.headers["content-type"][: len(XML)]) == (404, XML)
    assert "<reason xmlns=" in nowhere.text
    assert (refused.status_code, refused.headers["content-type"][: len(XML)]) == (400, XML)
    assert '<parameter name="to" reason="Required"/>' in refused.text


def test_the_emulator_does_not_repeat_what_the_client_has(client):
    href = client.url(client.application["_embedded"]["communication"]["_links"]["self"]["href"])
    version = client.http.get(href).headers["etag"]

    again = [client.http.get(href, headers={"If-None-Match": tag}).status_code for tag in (version, '"0"')]

    assert again == [304, 200]


@pytest.mark.parametrize(
    ("rel", "accept", "status"),
    [("self", "text/plain", 406), ("events", "application/xml", 406), ("self", "*/*", 200)],
)
def test_the_emulator_gives_no_form_that_is_not_wanted(client, rel, accept, status):
    href = client.url(client.application["_links"][rel]["href"])

    assert client.http.get(href, headers={"Accept": accept}).status_code == status


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_whole_call_goes_over_the_wire_in_xml(anyio_backend, monkeypatch):
    written = []
    monkeypatch.setattr(answers, "document", lambda body: written.append(body) or document(body))
    with Exchange(speed=20.0) as exchange:
        emulator = UcwaEmulator(exchange)
        with Server(emulator.app, started=emulator.started, stopped=emulator.stopped):
            async with telco_bridge.connect({**emulator.profile(), "format": "xml"}) as bridge:
                call = await bridge.dial("+15550100")
                await call.until(lambda view: view.state is CallState.CONNECTED)
                await call.hold()
                held = call.view.held
                await call.resume()
                await call.hangup()
                told = await call.ended()

    assert held is True
    assert any("sender" in body for body in written)
    assert (told.reason, told.by) == (TerminationReason.NORMAL, EndedBy.APPLICATION)
