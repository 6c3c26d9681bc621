from __future__ import annotations

import base64
import hashlib
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

import httpx
import pytest
import respx

from telco_bridge.http import ForeignOrigin
from telco_bridge.provider import (
    AnswerLost,
    AuthenticationFailed,
    CallState,
    ConfigError,
    Dial,
    Dialled,
    Gone,
    HangUp,
    Modality,
    Mute,
    NotSent,
    ProviderError,
    RateLimited,
    Refused,
    Source,
    StartMedia,
    StopMedia,
    StreamId,
    StreamState,
    StreamTarget,
    TooLate,
    Transport,
    Unreachable,
    Unsupported,
    WebRequest,
)
from telco_bridge_laml.session import connect
from telco_bridge_signalwire.signature import sign

ORIGIN = "https://example.signalwire.com"
BASE = f"{ORIGIN}/api/laml/2010-04-01/Accounts/5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21"
KEY = "PSK_example0signing0key"

DIAL = Dial(id="call-1", call="call-1", to="+15550100002")
HANG_UP = HangUp(id="h-1", call="call-1", ref="C")
START = StartMedia(id="cmd-1", call="call-1", ref="C", modality=Modality.AUDIO)


def stop(*slots):
    streams = tuple(StreamTarget(StreamId(slot, 1), Modality.AUDIO, Transport.WEBSOCKET) for slot in slots)
    return StopMedia(id="s-1", call="call-1", ref="C", streams=streams)


STOP = stop("S")


def call(status="queued", sid="C", **fields):
    return {
        "sid": sid,
        "status": status,
        "direction": "outbound",
        "to": "+15550100002",
        "from": "+15550100001",
        **fields,
    }


def stream(status="queued", sid="S"):
    return {"sid": sid, "call_sid": "C", "name": "cmd-1", "status": status}


def page(*calls, following=None):
    return {"uri": "/x", "page": 0, "page_size": 50, "next_page_uri": following, "calls": list(calls)}


def error(status, code, message="No."):
    return httpx.Response(status, json={"code": code, "message": message, "more_info": "https://x", "status": status})


@pytest.fixture
def space():
    """The space at its HTTP edge; it accepts the credentials once."""
    router = respx.MockRouter(assert_all_called=False)
    router.get(f"{BASE}/Calls", params={"PageSize": "1"}, name="login").respond(json=page())
    return router


@pytest.fixture
def opened(space, host, config):
    @asynccontextmanager
    async def enter(host=host, config=config):
        async with connect(config, host, transport=httpx.MockTransport(space.async_handler)) as session:
            yield session

    return enter


def form(route, index=-1):
    return parse_qsl(route.calls[index].request.content.decode(), keep_blank_values=True)


def callback(path, fields, *, key=KEY, method="POST", sent_to="https://app.example.net", **query):
    body = b"" if method == "GET" else urlencode(fields).encode()
    pairs = {**query, **fields} if method == "GET" else query
    text = urlencode(pairs)
    url = f"{sent_to}/{path}" + (f"?{text}" if text else "")
    signed = () if method == "GET" else tuple(fields.items())
    headers = {"x-signalwire-signature": sign(key, url, signed)}
    if body:
        headers["content-type"] = "application/x-www-form-urlencoded"
    return WebRequest(method=method, path=path, query=text, url=url, headers=headers, body=body)


# Connecting


async def test_connecting_asks_once_with_the_credentials(opened, space):
    async with opened() as session:
        (sent,) = [asked.request for asked in space.calls]

    expected = base64.b64encode(b"5a1c0c1e-7f65-4d0b-8a7c-3b9c2f0d4e21:PT-secret-token").decode()
    assert sent.headers["authorization"] == f"Basic {expected}"
    assert session.max_staleness is None


async def test_a_bridge_without_a_public_url_must_read(opened, configure, deaf_host):
    async with opened(deaf_host, configure(signing_key=..., poll_interval=2.5)) as session:
        assert session.max_staleness == 2.5


async def test_a_public_url_without_a_signing_key_is_refused(opened, configure):
    with pytest.raises(ConfigError, match="signing_key is missing"):
        async with opened(config=configure(signing_key=...)):
            pass


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials_show_at_once_and_no_secret_does(opened, space, status):
    space["login"].mock(error(status, 20003, "Authentication failed"))

    with pytest.raises(AuthenticationFailed, match="20003 Authentication failed") as failed:
        async with opened():
            pass

    assert failed.value.status == status
    assert "secret" not in str(failed.value)
    assert len(space.calls) == 1


@pytest.mark.parametrize("trouble", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(502)])
async def test_a_space_that_does_not_answer_is_unreachable(opened, space, trouble):
    space["login"].mock(side_effect=[trouble])

    with pytest.raises(Unreachable, match="Check the address of the space"):
        async with opened():
            pass

    assert len(space.calls) == 1


async def test_something_else_at_the_address_is_told_apart(opened, space):
    space["login"].respond(html="<h1>Hello</h1>")

    with pytest.raises(ProviderError, match=r"text/html.*Check that the address"):
        async with opened():
            pass


# Commands


async def test_a_dial_reports_the_call_under_our_own_token(opened, space, host):
    route = space.post(f"{BASE}/Calls").respond(json=call())
    async with opened() as session:
        await session.execute(DIAL)

    assert route.calls[0].request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert [value for name, value in form(route) if name == "StatusCallbackEvent"] == [
        "initiated",
        "ringing",
        "answered",
        "completed",
    ]
    (report,) = host.reports
    assert (report.ref, report.command_id, report.source) == ("C", "call-1", Source.ANSWER)
    assert (report.origin, report.state) == (Dialled(), CallState.QUEUED)


async def test_an_answer_is_as_old_as_its_request(opened, space, host):
    def answer(request):
        host.stamp()
        return httpx.Response(201, json=call())

    space.post(f"{BASE}/Calls").mock(side_effect=answer)
    async with opened() as session:
        before = host.last
        await session.execute(DIAL)

    assert host.reports[0].as_of == before + 1
    assert host.last == before + 2


async def test_a_stream_is_started_and_reported_as_starting(opened, space, host):
    route = space.post(f"{BASE}/Calls/C/Streams").respond(json=stream())
    async with opened() as session:
        await session.execute(START)

    assert ("Track", "both_tracks") in form(route)
    (report,) = host.reports
    assert (report.ref, report.command_id) == ("C", None)
    assert report.streams[0].command_id == "cmd-1"
    assert (report.streams[0].state, report.streams[0].observable) == (StreamState.STARTING, True)


async def test_without_callbacks_nobody_will_tell_when_a_stream_flows(opened, space, deaf_host):
    space.post(f"{BASE}/Calls/C/Streams").respond(json=stream())
    async with opened(deaf_host) as session:
        await session.execute(START)

    assert deaf_host.reports[0].streams[0].observable is False


async def test_every_stream_is_stopped_by_its_sid(opened, space, host):
    first = space.post(f"{BASE}/Calls/C/Streams/S").respond(json=stream("stopped"))
    second = space.post(f"{BASE}/Calls/C/Streams/T").respond(json=stream("stopped", "T"))
    async with opened() as session:
        await session.execute(stop("S", "T"))

    assert form(first) == form(second) == [("Status", "stopped")]
    assert [report.streams[0].slot for report in host.reports] == ["S", "T"]
    assert {report.streams[0].state for report in host.reports} == {StreamState.ENDED}


async def test_a_stream_that_cannot_be_stopped_does_not_keep_the_others_running(opened, space, host):
    space.post(f"{BASE}/Calls/C/Streams/A").mock(error(404, 20404))
    space.post(f"{BASE}/Calls/C/Streams/B").mock(error(422, 20422))
    space.post(f"{BASE}/Calls/C/Streams/S").respond(json=stream("stopped"))
    async with opened() as session:
        with pytest.raises(Refused):
            await session.execute(stop("A", "B", "S"))

    assert [report.streams[0].slot for report in host.reports] == ["A", "S"]


async def test_a_stream_that_signalwire_does_not_know_any_more_has_ended(opened, space, host):
    space.post(f"{BASE}/Calls/C/Streams/S").mock(error(404, 20404))
    async with opened() as session:
        with pytest.raises(TooLate):
            await session.execute(stop("S"))

    (report,) = host.reports
    assert [(s.slot, s.state) for s in report.streams] == [("S", StreamState.ENDED)]


async def test_a_stop_of_other_media_sends_nothing(opened, space):
    video = StreamTarget(StreamId("V", 1), Modality.VIDEO, Transport.UNKNOWN)
    command = StopMedia(id="s", call="call-1", ref="C", streams=(*STOP.streams, video))
    async with opened() as session:
        with pytest.raises(Unsupported):
            await session.execute(command)

    assert len(space.calls) == 1


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("queued", ["canceled"]),
        ("ringing", ["canceled"]),
        ("in-progress", ["completed"]),
        (None, ["completed"]),
        ("busy", ["completed"]),
        ("mystery", ["completed"]),
    ],
)
async def test_a_hang_up_takes_the_word_for_the_status_last_seen(opened, space, host, last, words):
    space.get(f"{BASE}/Calls/C").respond(json=call(last or "queued"))
    route = space.post(f"{BASE}/Calls/C").respond(json=call("completed"))
    async with opened() as session:
        if last is not None:
            await session.read("C")
        await session.execute(HANG_UP)

    assert [dict(form(route, index))["Status"] for index in range(len(route.calls))] == words
    assert (host.reports[0].ref, host.reports[0].command_id) == ("C", None)
    assert host.reports[0].state is CallState.ENDED


async def test_a_callback_that_comes_late_does_not_turn_back_what_was_seen(opened, space):
    route = space.post(f"{BASE}/Calls/C").respond(json=call("completed"))
    async with opened() as session:
        for status in ("in-progress", "ringing"):
            await session.receive(callback("status", {"CallSid": "C", "CallStatus": status}))
        await session.execute(HANG_UP)

    assert form(route) == [("Status", "completed")]


async def test_the_status_of_only_so_many_calls_is_remembered(opened, space, monkeypatch):
    monkeypatch.setattr("telco_bridge_laml.session._MAX_SEEN", 1)
    route = space.post(f"{BASE}/Calls/C").respond(json=call("completed"))
    async with opened() as session:
        for sid in ("C", "D"):
            await session.receive(callback("status", {"CallSid": sid, "CallStatus": "ringing"}))
        await session.execute(HANG_UP)

    assert form(route) == [("Status", "completed")]


@pytest.mark.parametrize("code", [10000, "10000", 21220])
async def test_a_call_that_was_answered_meanwhile_is_completed_instead(opened, space, host, code):
    space.get(f"{BASE}/Calls/C").respond(json=call("ringing"))
    route = space.post(f"{BASE}/Calls/C")
    route.side_effect = [error(422, code), httpx.Response(200, json=call("in-progress"))]
    async with opened() as session:
        await session.read("C")
        await session.execute(HANG_UP)

    assert [form(route, index) for index in (0, 1)] == [[("Status", "canceled")], [("Status", "completed")]]
    assert host.reports[0].state is CallState.CONNECTED


async def test_a_call_that_a_list_shows_as_answered_is_completed(opened, space):
    space.post(f"{BASE}/Calls").respond(json=call())
    space.get(f"{BASE}/Calls", params={"Status": "in-progress"}).respond(json=page(call("in-progress")))
    space.get(f"{BASE}/Calls").respond(json=page())
    route = space.post(f"{BASE}/Calls/C").respond(json=call("completed"))
    async with opened() as session:
        await session.execute(DIAL)
        await session.list_calls()
        await session.execute(HANG_UP)

    assert form(route) == [("Status", "completed")]
    assert len(route.calls) == 1


async def test_a_refusal_that_cannot_be_read_does_not_keep_a_call_up(opened, space, host):
    route = space.post(f"{BASE}/Calls/C")
    route.side_effect = [httpx.Response(422, html="<h1>No</h1>"), httpx.Response(200, json=call("canceled"))]
    async with opened() as session:
        await session.execute(HANG_UP)

    assert [form(route, index) for index in (0, 1)] == [[("Status", "completed")], [("Status", "canceled")]]
    assert host.reports[0].state is CallState.ENDED


async def test_a_hang_up_that_is_refused_for_another_reason_is_not_tried_again(opened, space):
    route = space.post(f"{BASE}/Calls/C").mock(error(422, 90000))
    async with opened() as session:
        with pytest.raises(Refused):
            await session.execute(HANG_UP)

    assert len(route.calls) == 1


async def test_a_call_that_takes_neither_word_is_too_late_to_hang_up(opened, space):
    route = space.post(f"{BASE}/Calls/C").mock(error(422, 10000, "Completed calls cannot be updated."))
    async with opened() as session:
        with pytest.raises(TooLate, match="Completed calls cannot be updated") as late:
            await session.execute(HANG_UP)

    assert (late.value.code, late.value.status) == ("10000", 422)
    assert len(route.calls) == 2


async def test_a_call_that_is_gone_is_not_asked_twice(opened, space):
    route = space.post(f"{BASE}/Calls/C").mock(error(404, 20404))
    async with opened() as session:
        with pytest.raises(TooLate):
            await session.execute(HANG_UP)

    assert len(route.calls) == 1


@pytest.mark.parametrize("command", [START, STOP], ids=["start", "stop"])
@pytest.mark.parametrize(
    ("status", "code"),
    [(404, None), (409, None), (410, None), (422, 21220), (400, "21220"), (422, 10000)],
)
async def test_a_stream_of_a_call_in_the_wrong_state_is_too_late(opened, space, host, command, status, code):
    space.post(url__startswith=f"{BASE}/Calls/C/Streams").mock(error(status, code))
    async with opened() as session:
        with pytest.raises(TooLate):
            await session.execute(command)

    assert host.facts == []


COMMANDS = pytest.mark.parametrize("command", [DIAL, HANG_UP, START, STOP], ids=["dial", "hang up", "start", "stop"])


@COMMANDS
@pytest.mark.parametrize("status", [401, 403])
async def test_a_missing_permission_is_told_apart_from_a_refusal(opened, space, command, status):
    space.post().mock(error(status, 20003))
    async with opened() as session:
        with pytest.raises(AuthenticationFailed, match="permissions"):
            await session.execute(command)


@COMMANDS
async def test_a_refusal_carries_code_and_status(opened, space, command):
    space.post().mock(error(422, "31922", "The websocket URL is invalid"))
    async with opened() as session:
        with pytest.raises(Refused, match="HTTP 422 31922 The websocket URL is invalid") as refused:
            await session.execute(command)

    assert (refused.value.code, refused.value.status, refused.value.provider) == ("31922", 422, "signalwire")


async def test_a_dial_is_never_too_late(opened, space):
    space.post().mock(error(422, 10000))
    async with opened() as session:
        with pytest.raises(Refused):
            await session.execute(DIAL)


async def test_a_price_that_is_too_high_is_a_refusal_in_its_own_shape(opened, space):
    space.post().respond(400, json={"errors": [{"code": "30010", "message": "Maxpriceperminute was exceeded"}]})
    async with opened() as session:
        with pytest.raises(Refused, match="30010 Maxpriceperminute"):
            await session.execute(DIAL)


@COMMANDS
async def test_too_many_requests_say_how_long_to_wait(opened, space, command):
    space.post().mock(httpx.Response(429, headers={"retry-after": "7"}, json={"code": 20429, "message": "Slow down"}))
    async with opened() as session:
        with pytest.raises(RateLimited) as limited:
            await session.execute(command)

    assert limited.value.retry_after == 7.0


async def test_a_full_queue_of_a_number_is_a_rate_limit(opened, space):
    space.post().mock(error(422, 21611))
    async with opened() as session:
        with pytest.raises(RateLimited) as limited:
            await session.execute(DIAL)

    assert limited.value.retry_after is None


@COMMANDS
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_after_a_server_error_nobody_knows_whether_it_was_done(opened, space, command, status):
    route = space.post().mock(httpx.Response(status, json={"code": 10000, "message": "x"}))
    async with opened() as session:
        with pytest.raises(AnswerLost):
            await session.execute(command)

    assert len(route.calls) == 1


GOOD = b'{"sid":"C","status":"queued"}'


@COMMANDS
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<h1>Gateway</h1>"),
        httpx.Response(200, headers={"content-type": "text/plain"}, content=GOOD),
        httpx.Response(200, content=GOOD),
        httpx.Response(200, headers={"content-type": "application/json"}, content=GOOD[:-4]),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"sid": "C"}),
        httpx.Response(204),
    ],
    ids=["html", "text", "untyped", "truncated", "list", "no status", "empty"],
)
async def test_a_success_that_cannot_be_read_may_have_been_done(opened, space, host, command, answer):
    route = space.post().mock(answer)
    async with opened() as session:
        with pytest.raises(AnswerLost, match="may have been done"):
            await session.execute(command)

    assert len(route.calls) == 1
    assert host.facts == []


@pytest.mark.parametrize("command", [HANG_UP, STOP], ids=["hang up", "stop"])
async def test_an_answer_about_something_else_is_no_answer(opened, space, host, command):
    space.post().respond(json={"sid": "other", "status": "stopped"})
    async with opened() as session:
        with pytest.raises(AnswerLost, match="something else"):
            await session.execute(command)

    assert host.facts == []


@COMMANDS
async def test_a_request_that_never_left_says_so(opened, space, command):
    space.post().mock(side_effect=httpx.ConnectError("no route"))
    async with opened() as session:
        with pytest.raises(NotSent):
            await session.execute(command)


@COMMANDS
async def test_a_connection_that_breaks_after_sending_loses_the_answer(opened, space, command):
    space.post().mock(side_effect=httpx.RemoteProtocolError("closed"))
    async with opened() as session:
        with pytest.raises(AnswerLost):
            await session.execute(command)


@COMMANDS
async def test_a_redirect_is_not_followed(opened, space, command):
    route = space.post().respond(302, headers={"location": "https://elsewhere.example/"})
    async with opened() as session:
        with pytest.raises(Refused, match="HTTP 302"):
            await session.execute(command)

    assert len(route.calls) == 1


async def test_a_command_that_is_not_known_is_unsupported(opened, space):
    async with opened() as session:
        with pytest.raises(Unsupported, match="Mute"):
            await session.execute(Mute(id="x", call="call-1", ref="C"))

    assert len(space.calls) == 1


async def test_an_identity_is_encoded_in_paths(opened, space):
    async with opened() as session:
        space.get().mock(error(404, 20404))
        await session.read("../v3:a/b?c")

    assert space.calls[-1].request.url.raw_path.endswith(b"/Calls/%2E%2E%2Fv3%3Aa%2Fb%3Fc")


# Reads


async def test_a_read_reports_to_whoever_asked_and_not_to_the_host(opened, space, host):
    space.get(f"{BASE}/Calls/C").respond(json=call("in-progress"))
    async with opened() as session:
        before = host.last
        report = await session.read("C")

    assert not isinstance(report, Gone)
    assert (report.ref, report.state, report.source, report.as_of) == (
        "C",
        CallState.CONNECTED,
        Source.READ,
        before + 1,
    )
    assert host.facts == []


@pytest.mark.parametrize("status", [404, 410])
async def test_a_call_that_signalwire_does_not_know_is_gone(opened, space, status):
    space.get(f"{BASE}/Calls/C").mock(error(status, 20404, "The requested resource was not found."))
    async with opened() as session:
        gone = await session.read("C")

    assert isinstance(gone, Gone)
    assert gone.native == f"HTTP {status} 20404 The requested resource was not found."


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, html="<h1>No such page</h1>"),
        httpx.Response(200, html="<h1>Hello</h1>"),
        httpx.Response(200, headers={"content-type": "application/json"}, content=GOOD[:-4]),
        httpx.Response(200, json={"status": "queued"}),
        httpx.Response(200, json=call(sid="other")),
        httpx.Response(429),
        httpx.Response(503),
        httpx.Response(401),
    ],
    ids=["html 404", "html", "truncated", "no sid", "another call", "429", "503", "401"],
)
async def test_a_read_without_a_usable_answer_proves_nothing(opened, space, answer):
    space.get(f"{BASE}/Calls/C").mock(answer)
    async with opened() as session:
        with pytest.raises(ProviderError):
            await session.read("C")


async def test_live_calls_are_listed_status_by_status_and_page_by_page(opened, space):
    calls = f"{BASE}/Calls"
    following = "/api/laml/2010-04-01/Accounts/P/Calls.json?Page=1&PageToken=PAx"
    space.get(calls, params={"Status": "queued"}).respond(json=page(call(sid="A"), following=following))
    space.get(f"{ORIGIN}{following}").respond(json=page(call(sid="B")))
    space.get(calls, params={"Status": "ringing"}).respond(
        json=page(call("ringing", "A"), call("ringing", "X", parent_call_sid="A"))
    )
    space.get(calls, params={"Status": "in-progress"}).respond(json=page(call("in-progress", "D", direction="inbound")))
    async with opened() as session:
        before = len(space.calls)
        listed = await session.list_calls()

    assert listed.complete
    assert {report.ref: report.state for report in listed.reports} == {
        "A": CallState.RINGING,
        "B": CallState.QUEUED,
        "D": CallState.CONNECTED,
    }
    assert all(report.as_of > listed.as_of for report in listed.reports)
    asked = [dict(c.request.url.params).get("Status") for c in list(space.calls)[before:]]
    assert asked == ["queued", None, "ringing", "in-progress"]


async def test_a_link_that_is_no_address_is_not_followed(opened, space):
    space.get(f"{BASE}/Calls", params={"Status": "queued"}).respond(json=page(following="https://a.example:port/"))
    async with opened() as session:
        with pytest.raises(ProviderError, match="no address"):
            await session.list_calls()


async def test_a_list_that_turns_in_circles_is_not_complete(opened, space):
    following = f"{BASE.removeprefix(ORIGIN)}/Calls?Page=1"
    space.get(url__startswith=f"{BASE}/Calls").respond(json=page(call(), following=following))
    async with opened() as session:
        listed = await session.list_calls()

    assert not listed.complete


@pytest.mark.parametrize(
    ("link", "trouble"),
    [
        ("https://evil.example/Calls?Page=1", ForeignOrigin),
        ("//evil.example/x", ForeignOrigin),
        ("https://[x", ProviderError),
    ],
)
async def test_a_link_to_another_host_is_not_followed(opened, space, link, trouble):
    space.get(f"{BASE}/Calls", params={"Status": "queued"}).respond(json=page(following=link))
    async with opened() as session:
        with pytest.raises(trouble):
            await session.list_calls()

    assert {c.request.url.host for c in space.calls} == {"example.signalwire.com"}


async def test_a_page_that_cannot_be_had_is_no_list(opened, space):
    space.get(f"{BASE}/Calls", params={"Status": "queued"}).respond(json=page(following="/next"))
    space.get(f"{ORIGIN}/next").respond(500)
    async with opened() as session:
        with pytest.raises(ProviderError):
            await session.list_calls()


# Webhooks

RINGING = {"CallSid": "C", "CallStatus": "ringing", "Direction": "outbound-api", "To": "+15550100002"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_status_callback_is_reported_under_our_own_token(opened, host, method):
    async with opened() as session:
        answer = await session.receive(callback("status", RINGING, method=method, call="call-1"))

    assert (answer.status, answer.body) == (204, b"")
    (report,) = host.reports
    assert (report.ref, report.command_id, report.source) == ("C", "call-1", Source.PUSH)
    assert report.state is CallState.RINGING


@pytest.mark.parametrize("path", ["voice", "status", "stream"])
@pytest.mark.parametrize("forged", [{"key": "PSK_wrong"}, {"sent_to": "https://other.example"}])
async def test_a_forged_webhook_is_refused_and_not_reported(opened, host, path, forged):
    request = callback(path, {**RINGING, "StreamSid": "S", "StreamEvent": "stream-started"}, **forged)
    if "sent_to" in forged:
        request = WebRequest(
            method="POST",
            path=path,
            query="",
            url=f"https://app.example.net/{path}",
            headers=request.headers,
            body=request.body,
        )
    async with opened() as session:
        answer = await session.receive(request)

    assert answer.status == 403
    assert host.facts == []


async def test_a_webhook_without_a_signature_is_refused(opened, host):
    request = callback("status", RINGING)
    bare = WebRequest(method="POST", path="status", query="", url=request.url, headers={}, body=request.body)
    async with opened() as session:
        assert (await session.receive(bare)).status == 403

    assert host.facts == []


async def test_a_session_without_keys_takes_no_webhooks(opened, configure, deaf_host):
    async with opened(deaf_host, configure(signing_key=...)) as session:
        assert (await session.receive(callback("status", RINGING))).status == 403


async def test_the_previous_key_is_still_accepted(opened, configure, host):
    config = configure(signing_key="PSK_new", previous_signing_key=KEY)
    async with opened(config=config) as session:
        assert (await session.receive(callback("status", RINGING))).status == 204


@pytest.mark.parametrize(
    ("path", "status"), [("", 404), ("nowhere", 404), ("status/x", 404), ("status", 204), ("/status/", 204)]
)
async def test_only_known_paths_are_served(opened, path, status):
    async with opened() as session:
        assert (await session.receive(callback(path, RINGING))).status == status


async def test_other_methods_are_not_served(opened):
    async with opened() as session:
        assert (await session.receive(callback("status", RINGING, method="PUT"))).status == 405


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("status", {"CallStatus": "ringing"}),
        ("status", {"CallSid": "C"}),
        ("voice", {}),
        ("stream", {"StreamSid": "S", "CallSid": "C"}),
        ("stream", {"StreamSid": "S", "StreamEvent": "stream-started"}),
    ],
)
async def test_a_signed_webhook_that_cannot_be_read_is_answered_400(opened, host, path, fields):
    async with opened() as session:
        answer = await session.receive(callback(path, fields))

    assert answer.status == 400
    assert host.facts == []


async def test_a_json_callback_is_read_where_its_digest_is_signed(opened, host):
    body = json.dumps({**RINGING, "SequenceNumber": 1, "Nested": {}}).encode()
    query = f"call=call-1&bodySHA256={hashlib.sha256(body).hexdigest()}"
    url = f"https://app.example.net/status?{query}"
    headers = {"content-type": "application/json", "x-signalwire-signature": sign(KEY, url)}
    async with opened() as session:
        answer = await session.receive(
            WebRequest(method="POST", path="status", query=query, url=url, headers=headers, body=body)
        )

    assert answer.status == 204
    assert host.reports[0].state is CallState.RINGING


@pytest.mark.parametrize("path", ["status", "voice"])
async def test_child_legs_are_acknowledged_and_not_reported(opened, host, path):
    async with opened() as session:
        answer = await session.receive(callback(path, {**RINGING, "ParentCallSid": "P"}))

    assert answer.status in (200, 204)
    assert host.facts == []


async def test_the_document_keeps_the_call_open_by_leading_back_to_itself(opened, host):
    fields = {**RINGING, "CallStatus": "in-progress"}
    async with opened() as session:
        answer = await session.receive(callback("voice", fields, call="a&b"))

    assert (answer.status, answer.content_type) == (200, "text/xml; charset=utf-8")
    assert answer.body.startswith(b"<?xml")
    pause, redirect = list(ET.fromstring(answer.body))
    assert (pause.tag, pause.attrib) == ("Pause", {"length": "3600"})
    assert (redirect.tag, redirect.text) == ("Redirect", "https://app.example.net/voice?call=a%26b")
    assert (host.reports[0].state, host.reports[0].command_id) == (CallState.CONNECTED, "a&b")


async def test_without_a_token_the_document_leads_back_without_one(opened):
    async with opened() as session:
        answer = await session.receive(callback("voice", RINGING))

    assert b'<Redirect method="POST">https://app.example.net/voice</Redirect>' in answer.body


async def test_a_stream_callback_is_reported_under_the_start_that_caused_it(opened, host):
    fields = {"CallSid": "C", "StreamSid": "S", "StreamEvent": "stream-started", "StreamName": "cmd-1"}
    async with opened() as session:
        answer = await session.receive(callback("stream", fields, call="call-1", command="cmd-1"))

    assert answer.status == 204
    (report,) = host.reports
    assert (report.ref, report.command_id, report.state) == ("C", "call-1", None)
    assert (report.streams[0].command_id, report.streams[0].state) == ("cmd-1", StreamState.ACTIVE)


async def test_a_stream_callback_without_a_call_binds_by_our_token(opened, host):
    fields = {"StreamSid": "S", "StreamEvent": "stream-error", "StreamError": "connection_refused"}
    async with opened() as session:
        await session.receive(callback("stream", fields, call="call-1", command="cmd-1"))

    (report,) = host.reports
    assert (report.ref, report.command_id) == (None, "call-1")
    assert report.streams[0].cause is not None
    assert report.streams[0].cause.code == "connection_refused"
