"""Pointing a phone number at the bridge: what is asked, shown, sent, and believed afterwards."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl

import httpx
import pytest
import respx
from typer.testing import CliRunner

from telco_bridge.cli.app import app
from telco_bridge.provider import AuthenticationFailed, ProviderError
from telco_bridge_signalwire.numbers import Change, PhoneNumber, Routing, changes, open_numbers

PROJECT, TOKEN = "5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21", "PT_example0api0token"
ORIGIN = "https://example.signalwire.com"
PATH = f"/api/laml/2010-04-01/Accounts/{PROJECT}/IncomingPhoneNumbers"
NUMBER = "+15550100001"
SID = "6f0b7c2e-1d43-4a58-9a55-0d2a7e1c9bpn"
PUBLIC = "https://bridge.example.net/telco"

OLD = {
    "sid": SID,
    "phone_number": NUMBER,
    "friendly_name": "Front desk",
    "voice_url": "https://user:pa55word@old.example/voice",
    "voice_method": "GET",
    "voice_fallback_url": None,
    "voice_fallback_method": "POST",
    "voice_application_sid": None,
    "status_callback": None,
    "status_callback_method": "POST",
}
NEW = {
    "voice_url": f"{PUBLIC}/voice",
    "voice_method": "POST",
    "status_callback": f"{PUBLIC}/status",
    "status_callback_method": "POST",
}


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    path = tmp_path / "telco.toml"
    path.write_text(
        f'provider = "signalwire"\nproject = "{PROJECT}"\ntoken = "{TOKEN}"\nspace = "example.signalwire.com"\n'
        f'[web]\npublic_url = "{PUBLIC}"\n'
    )
    monkeypatch.setenv("TELCO_BRIDGE_CONFIG", str(path))
    monkeypatch.delenv("TELCO_BRIDGE_PROFILE", raising=False)
    return path


class Space:
    """A space with numbers, which does what it is told unless it is told otherwise."""

    def __init__(self, router: respx.Router, *numbers: dict) -> None:
        self.numbers = {number["sid"]: dict(number) for number in numbers}
        self.forms: list[dict[str, str]] = []
        self.stubborn: set[str] = set()
        self.lost = False
        self.ignored = False
        router.get(path=PATH).mock(side_effect=self._list)
        router.get(path__regex=rf"{PATH}/(?P<sid>[^/]+)$").mock(side_effect=self._read)
        router.post(path__regex=rf"{PATH}/(?P<sid>[^/]+)$").mock(side_effect=self._update)

    def _list(self, request: httpx.Request) -> httpx.Response:
        wanted = request.url.params.get("PhoneNumber")
        found = [one for one in self.numbers.values() if wanted is None or wanted.lstrip("+") in one["phone_number"]]
        return httpx.Response(200, json={"incoming_phone_numbers": found, "next_page_uri": None, "page": 0})

    def _read(self, request: httpx.Request, sid: str) -> httpx.Response:
        return httpx.Response(200, json=self.numbers[sid])

    def _update(self, request: httpx.Request, sid: str) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        self.forms.append(form)
        if not self.ignored:
            for name, value in form.items():
                key = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
                if key not in self.stubborn:
                    self.numbers[sid][key] = value or None
        return httpx.Response(502) if self.lost else httpx.Response(200, json=self.numbers[sid])


@pytest.fixture
def router(monkeypatch):
    # respx stands between httpx and its own connections.
    monkeypatch.setattr("telco_bridge.http._on_asyncio", lambda: False)
    with respx.mock(base_url=ORIGIN, assert_all_called=False) as mocked:
        yield mocked


def route(*arguments, answer="y\n"):
    result = CliRunner().invoke(app, ["signalwire", "route", *arguments], prog_name="telco-bridge", input=answer)
    assert TOKEN not in result.output + result.stderr
    assert "pa55word" not in result.output + result.stderr
    return result.exit_code, result.stdout, result.stderr


def test_the_number_is_pointed_at_the_bridge_after_showing_what_changes(router):
    space = Space(router, OLD)

    code, page, _ = route(NUMBER)

    assert code == 0
    assert space.forms == [
        {
            "VoiceUrl": f"{PUBLIC}/voice",
            "VoiceMethod": "POST",
            "StatusCallback": f"{PUBLIC}/status",
            "StatusCallbackMethod": "POST",
        }
    ]
    assert "+15550100001  Front desk" in page
    assert re.search(r"VoiceUrl +https://…@old\.example/voice  →  https://bridge\.example\.net/telco/voice\n", page)
    assert re.search(r"VoiceMethod +GET  →  POST\n", page)
    assert re.search(r"StatusCallback +none  →  https://bridge\.example\.net/telco/status\n", page)
    assert page.endswith(f"set, and read back: {NUMBER} calls {PUBLIC}/voice\n")


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_nothing_is_changed_without_a_yes(router, answer):
    space = Space(router, OLD)

    code, _, _ = route(NUMBER, answer=answer)

    assert code == 1
    assert space.forms == []


def test_with_yes_nobody_is_asked(router):
    space = Space(router, OLD)

    code, page, _ = route(NUMBER, "--yes", answer="")

    assert code == 0
    assert len(space.forms) == 1
    assert "?" not in page


def test_a_number_that_goes_there_already_is_left_alone(router):
    space = Space(router, {**OLD, **NEW})

    code, page, _ = route(NUMBER)

    assert code == 0
    assert "nothing to change" in page
    assert space.forms == []


def test_an_application_is_taken_off_and_a_fallback_stays(router):
    space = Space(router, {**OLD, "voice_application_sid": "app-1", "voice_fallback_url": "https://b.example/x"})

    code, page, _ = route(NUMBER)

    assert code == 0
    assert space.forms[0]["VoiceApplicationSid"] == ""
    assert "VoiceFallbackUrl" not in space.forms[0]
    assert re.search(r"VoiceApplicationSid +app-1  →  none  \(an application would go before", page)
    assert re.search(r"VoiceFallbackUrl +https://b\.example/x  \(stays\)", page)


def test_a_fallback_is_replaced_where_that_is_asked_for(router):
    space = Space(router, {**OLD, "voice_fallback_url": "https://b.example/x"})

    code, page, _ = route(NUMBER, "--fallback", "https://c.example/y")

    assert code == 0
    assert space.forms[0]["VoiceFallbackUrl"] == "https://c.example/y"
    assert re.search(r"VoiceFallbackUrl +https://b\.example/x  →  https://c\.example/y", page)


def test_another_place_gets_no_status_callback_of_the_bridge(router):
    space = Space(router, OLD)

    assert route(NUMBER, "--to", "https://else.example/v")[0] == 0
    assert route(NUMBER, "--to", "https://else.example/v", "--status-callback", "https://else.example/s")[0] == 0

    assert space.forms == [
        {"VoiceUrl": "https://else.example/v", "VoiceMethod": "POST"},
        {"StatusCallback": "https://else.example/s", "StatusCallbackMethod": "POST"},
    ]


def test_only_the_very_number_counts_where_the_list_holds_others(router):
    other = {**OLD, "sid": "other", "phone_number": f"{NUMBER}9"}
    space = Space(router, other, OLD)

    assert route(NUMBER, "--yes")[0] == 0

    assert space.numbers["other"] == other


def test_an_unknown_number_is_answered_with_what_the_project_owns(router):
    Space(router, *({**OLD, "sid": str(n), "phone_number": f"+1555010000{n}"} for n in range(7)))

    code, _, error = route("+15559999999")

    assert code == 2
    assert f"the project {PROJECT} does not own +15559999999; it owns +15550100000, " in error
    assert "+15550100004, and more" in error
    assert "+15550100005" not in error


def test_a_project_without_numbers_is_told(router):
    Space(router)

    assert "owns no number" in route(NUMBER)[2]


def test_what_is_read_back_counts_not_what_was_answered(router):
    space = Space(router, {**OLD, "voice_application_sid": "app-1"})
    space.stubborn.add("voice_application_sid")

    code, page, error = route(NUMBER)

    assert code == 2
    assert "set, and read back" not in page
    assert "now says that VoiceApplicationSid is app-1" in error


def test_a_lost_answer_is_settled_by_reading(router):
    space = Space(router, OLD)
    space.lost = True

    assert route(NUMBER)[0] == 0

    space.numbers[SID] = dict(OLD)
    space.ignored = True
    code, _, error = route(NUMBER)
    assert code == 2
    assert "HTTP 502" in error


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_without_the_scope_is_told_its_name(router, status):
    router.get(path=PATH).respond(status, json={"code": 20003, "message": "no", "status": status})

    code, _, error = route(NUMBER)

    assert code == 2
    assert f"HTTP {status} 20003 no" in error
    assert "needs the scope Numbers" in error


def test_a_refused_change_says_why(router):
    router.post(path=f"{PATH}/{SID}").respond(422, json={"code": "21402", "message": "VoiceUrl is not valid"})
    Space(router, OLD)

    code, _, error = route(NUMBER)

    assert code == 2
    assert f"routing {NUMBER}: HTTP 422 21402 VoiceUrl is not valid" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("5550100001",), "5550100001 is no number in E.164 form"),
        (("sip:a@b",), "is no number in E.164 form"),
        ((NUMBER, "--to", "bridge.example"), "--to is no absolute"),
        ((NUMBER, "--status-callback", "ftp://x/"), "--status-callback is no absolute"),
        ((NUMBER, "--fallback", "/x"), "--fallback is no absolute"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(router, arguments, said):
    code, _, error = route(*arguments)

    assert code == 2
    assert said in error
    assert not router.calls


def test_without_a_public_url_the_place_must_be_named(router, settings):
    settings.write_text(settings.read_text().partition("[web]")[0])
    Space(router, OLD)

    code, _, error = route(NUMBER)

    assert (code, error) == (2, "telco-bridge: where to? Set web.public_url in the profile, or say --to URL\n")
    assert route(NUMBER, "--to", f"{PUBLIC}/voice", "--yes")[0] == 0


# The values themselves


def test_what_differs_is_said_with_the_method_that_belongs_to_it():
    before = Routing(voice_url="a", voice_method="POST", status_callback_method="POST")

    assert changes(before, before) == ()
    assert changes(before, Routing(voice_url="b", voice_method="POST", status_callback_method="POST")) == (
        Change(name="VoiceUrl", before="a", after="b"),
        Change(name="VoiceMethod", before="POST", after="POST"),
    )


@pytest.fixture
def numbers(configure):
    """Open the numbers of a space that answers so."""

    def build(answer):
        return open_numbers(configure(), transport=httpx.MockTransport(answer))

    return build


async def test_every_page_is_looked_through_by_its_link(numbers):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        if "PageToken" in asked[-1]:
            return httpx.Response(200, json={"incoming_phone_numbers": [OLD], "next_page_uri": None})
        link = f"{PATH}?Page=1&PageToken=PA1"
        return httpx.Response(200, json={"incoming_phone_numbers": [], "next_page_uri": link})

    async with numbers(answer) as found:
        number = await found.find(NUMBER)

    assert isinstance(number, PhoneNumber)
    assert (number.sid, number.friendly_name, number.routing.voice_method) == (SID, "Front desk", "GET")
    assert asked == [f"{PATH}?PhoneNumber=%2B15550100001", f"{PATH}?Page=1&PageToken=PA1"]


async def test_a_list_without_an_end_is_given_up(numbers):
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"incoming_phone_numbers": [], "next_page_uri": f"{PATH}?Page=1"})

    async with numbers(answer) as found:
        with pytest.raises(ProviderError, match="does not end"):
            await found.find(NUMBER)


async def test_an_answer_that_is_no_list_is_told(numbers):
    async with numbers(lambda _: httpx.Response(200, text="<html>")) as found:
        with pytest.raises(ProviderError, match="not JSON"):
            await found.first(3)


async def test_a_number_is_read_by_its_sid_and_errors_are_facts(numbers):
    def answer(request: httpx.Request) -> httpx.Response:
        known = request.url.path.endswith(f"/{SID}")
        return httpx.Response(
            200 if known else 401, content=json.dumps(OLD), headers={"content-type": "application/json"}
        )

    async with numbers(answer) as found:
        assert (await found.read(SID)).number == NUMBER
        with pytest.raises(AuthenticationFailed):
            await found.read("another")
