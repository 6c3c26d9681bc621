"""The user's settings at the typed door: read, changed, and sent back whole."""

from __future__ import annotations

import json
import math

import httpx
import pytest

from telco_bridge.provider import AnswerLost, ProviderError, Refused, TooLate
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.config import AudioPreference, SupportedModality, UcwaConfig
from telco_bridge_ucwa.native import MessageFormat, Policy
from telco_bridge_ucwa.session import open_session

POOL = "https://pool.example.org"
TOKEN = "0c7e-guid"
SETTINGS = {
    "rel": "communication",
    TOKEN: "please pass this in a PUT request",
    "audioPreference": "PhoneAudio",
    "supportedModalities": ["Messaging"],
    "supportedMessageFormats": ["Plain"],
    "conversationHistory": "Disabled",
    "videoBasedScreenSharing": "Sometimes",
    "newInTheNextRelease": "keep me",
    "etag": "3140562359",
    "_links": {"self": {"href": "/app/communication"}, "startPhoneAudio": {"href": "/app/start"}},
}
REFUSED = httpx.Response(412, json={"code": "PreconditionFailed", "message": "Changed."})


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


class Server:
    """Answers with the settings, of which there is another version every time; PUTs as they are ordered."""

    def __init__(self, *puts, etag_header=True):
        self.puts = list(puts)
        self.requests = []
        self.versions = 0
        self.etag_header = etag_header
        self.embedded = {"communication": SETTINGS}
        self.get = None

    def handle(self, request):
        match request.method, request.url.path:
            case "POST", "/apps":
                links = {"self": {"href": "/app"}, "events": {"href": "/app/events?ack=1"}}
                return httpx.Response(201, json={"_links": links, "_embedded": self.embedded})
            case "GET", "/app/communication":
                self.versions += 1
                if self.get is not None:
                    return self.get
                headers = {"ETag": f'"{self.versions}"'} if self.etag_header else {}
                return httpx.Response(200, json=SETTINGS, headers=headers)
            case "PUT", "/app/communication":
                self.requests.append(request)
                return self.puts.pop(0)
            case _:
                return httpx.Response(204)


async def changed(server, **changes):
    config = UcwaConfig.model_validate({"application_url": f"{POOL}/apps", "username": "ada", "password": "s3cret"})
    async with open_session(config, Host(), transport=httpx.MockTransport(server.handle)) as session:
        return await session.native.communication.change(**changes)


async def test_a_change_sends_everything_back_under_the_version_that_was_read():
    server = Server(httpx.Response(200, json={**SETTINGS, "audioPreference": "VoipAudio"}, headers={"ETag": '"2"'}))

    settings = await changed(server, audio_preference=AudioPreference.VOIP, phone_number="+1 425 555 0101")

    (put,) = server.requests
    kept = {name: value for name, value in SETTINGS.items() if name != "_links"}
    assert json.loads(put.content) == {**kept, "audioPreference": "VoipAudio", "phoneNumber": "+14255550101"}
    assert (put.headers["if-match"], put.headers["content-type"]) == ('"1"', "application/json")
    assert settings.audio_preference is AudioPreference.VOIP


async def test_the_version_in_the_body_serves_where_the_header_has_none():
    server = Server(httpx.Response(204), etag_header=False)

    settings = await changed(
        server,
        supported_modalities=[SupportedModality.VIDEO, SupportedModality.AUDIO],
        supported_message_formats=[MessageFormat.HTML],
        conversation_history=Policy.ENABLED,
    )

    (put,) = server.requests
    sent = json.loads(put.content)
    assert put.headers["if-match"] == '"3140562359"'
    assert (sent["supportedModalities"], sent["supportedMessageFormats"]) == (["Audio", "Video"], ["Html"])
    assert sent["conversationHistory"] == "Enabled"
    # The server said nothing of what is in force now, so it was asked.
    assert server.versions == 2
    assert settings.supported_modalities == {"Messaging"}
    assert settings.video_based_screen_sharing is Policy.UNKNOWN
    assert settings.native["videoBasedScreenSharing"] == "Sometimes"
    assert settings.offered == {"startPhoneAudio"}


async def test_a_change_that_meets_another_is_sent_once_more_on_top_of_it():
    server = Server(REFUSED, httpx.Response(204))

    await changed(server, conversation_history=Policy.ENABLED)

    assert [put.headers["if-match"] for put in server.requests] == ['"1"', '"2"']


async def test_a_change_that_meets_another_every_time_is_given_up():
    server = Server(REFUSED, REFUSED)

    with pytest.raises(Refused, match="412 PreconditionFailed Changed; it was changed meanwhile"):
        await changed(server, conversation_history=Policy.ENABLED)
    assert len(server.requests) == 2


async def test_an_answer_that_is_no_resource_is_an_error():
    with pytest.raises(ProviderError, match="PUT communication: the answer is text/html"):
        await changed(Server(httpx.Response(200, html="<p>")), conversation_history=Policy.ENABLED)


async def test_a_refusal_to_read_the_settings_says_what_to_do():
    server = Server()
    server.get = httpx.Response(500, json={"code": "ServiceFailure", "subcode": "InvalidExchangeServerVersion"})

    with pytest.raises(AnswerLost, match=r"GET communication: HTTP 500 .* mailbox"):
        await changed(server, conversation_history=Policy.ENABLED)
    assert server.requests == []


async def test_an_application_without_settings_has_none_to_change():
    server = Server()
    server.embedded = {}

    with pytest.raises(TooLate, match="Nothing was sent"):
        await changed(server, conversation_history=Policy.ENABLED)


@pytest.mark.parametrize(
    "changes",
    [
        {"phone_number": "+1" + "0" * 100},
        {"phone_number": "ada"},
        {"phone_number": "sip:ada@example.org"},
        {"conversation_history": Policy.UNKNOWN},
    ],
)
async def test_what_the_server_would_not_take_is_not_sent(changes):
    server = Server()

    with pytest.raises(Refused, match="Nothing was sent"):
        await changed(server, **changes)
    assert (server.versions, server.requests) == (0, [])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("form", ["json", "xml"])
async def test_the_emulated_server_takes_a_change_in_either_form(serve, anyio_backend, form):
    served = serve()
    profile = {name: value for name, value in served.emulator.profile().items() if name != "provider"}
    async with open_session(UcwaConfig.model_validate({**profile, "format": form}), Host()) as session:
        door = session.native.communication
        before = await door.settings()
        after = await door.change(audio_preference=AudioPreference.VOIP, supported_modalities=[SupportedModality.AUDIO])

    assert (before.audio_preference, before.supported_modalities) == (AudioPreference.PHONE, frozenset())
    assert (after.audio_preference, after.supported_modalities) == (AudioPreference.VOIP, {"Audio"})
    assert (after.conversation_history, after.phone_number) == (Policy.DISABLED, before.phone_number)
    assert "startPhoneAudio" in after.offered
