"""Inbound calls: SignalWire waits for a document while the application decides, once."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import anyio
import pytest
import respx

from telco_bridge.provider import (
    Answer,
    CallState,
    Invitation,
    Party,
    Redirect,
    Refused,
    Reject,
    TerminationReason,
    TooLate,
)
from telco_bridge.sandbox import SteppedClock

from .conftest import RecordingHost
from .test_session import BASE, call, callback, error, form, page

RINGS = {"CallSid": "I", "CallStatus": "ringing", "Direction": "inbound", "From": "+15550199", "To": "+15550100001"}


class Stepped(RecordingHost):
    def __init__(self) -> None:
        super().__init__("https://app.example.net")
        self.clock = SteppedClock()


@pytest.fixture
def host() -> Stepped:
    return Stepped()


@pytest.fixture
def space():
    router = respx.MockRouter(assert_all_called=False)
    router.get(f"{BASE}/Calls", params={"PageSize": "1"}, name="login").respond(json=page())
    router.post(f"{BASE}/Calls/I", name="watch").respond(json=call("ringing", sid="I", direction="inbound"))
    return router


@pytest.fixture
def opened(space, host, config):
    from .test_session import asynccontextmanager, connect, httpx

    @asynccontextmanager
    async def enter(config=config):
        async with connect(config, host, transport=httpx.MockTransport(space.async_handler)) as session:
            yield session

    return enter


def verbs(answer):
    assert answer.content_type == "text/xml; charset=utf-8"
    return list(ET.fromstring(answer.body))


class Parked:
    """A request that SignalWire waits with."""

    def __init__(self, tasks, session, fields=RINGS):
        self.answer = None
        tasks.start_soon(self.wait, session, fields)

    async def wait(self, session, fields):
        self.answer = await session.receive(callback("voice", fields))

    async def answered(self):
        while self.answer is None:
            await anyio.lowlevel.checkpoint()
        return self.answer


async def rung(host):
    while not host.reports:
        await anyio.lowlevel.checkpoint()
    return host.reports[0]


def decision(kind, **fields):
    return kind(id="d-1", call="call-1", ref="I", **fields)


async def test_a_call_that_comes_in_is_told_with_its_deadline(opened, host, space):
    async with opened() as session, anyio.create_task_group() as tasks:
        Parked(tasks, session)
        report = await rung(host)

        assert (report.ref, report.state, report.origin) == ("I", CallState.RINGING, Invitation())
        assert (report.remote, report.local) == (Party("+15550199"), Party("+15550100001"))
        assert report.decide_by == host.clock.now() + 20
        tasks.cancel_scope.cancel()

    assert form(space["watch"]) == [("StatusCallback", "https://app.example.net/status")]


async def test_an_answer_is_the_document_that_signalwire_waits_for(opened, host):
    async with opened() as session, anyio.create_task_group() as tasks:
        parked = Parked(tasks, session)
        await rung(host)
        await session.execute(decision(Answer))
        answers, still, redirect = verbs(await parked.answered())

    # SignalWire documents that a pause at the start does not answer a call.
    assert (answers.tag, still.tag) == ("Gather", "Pause")
    assert redirect.text == "https://app.example.net/voice?call=call-1"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (TerminationReason.REJECTED, "rejected"),
        (TerminationReason.BUSY, "busy"),
        (TerminationReason.DO_NOT_DISTURB, "busy"),
        (None, "rejected"),
    ],
)
async def test_a_call_is_rejected_with_the_nearest_word(opened, host, reason, word):
    async with opened() as session, anyio.create_task_group() as tasks:
        parked = Parked(tasks, session)
        await rung(host)
        await session.execute(decision(Reject, reason=reason))
        (verb,) = verbs(await parked.answered())

    assert (verb.tag, verb.attrib) == ("Reject", {"reason": word})


async def test_a_call_is_redirected(opened, host):
    async with opened() as session, anyio.create_task_group() as tasks:
        parked = Parked(tasks, session)
        await rung(host)
        await session.execute(decision(Redirect, to="+15550200"))
        (verb,) = verbs(await parked.answered())

    assert (verb.tag, verb[0].text) == ("Dial", "+15550200")


async def test_a_repeated_request_gets_the_same_document(opened, host):
    async with opened() as session, anyio.create_task_group() as tasks:
        first, second = Parked(tasks, session), Parked(tasks, session)
        await rung(host)
        await session.execute(decision(Answer))
        bodies = {(await parked.answered()).body for parked in (first, second, Parked(tasks, session))}

    assert len(bodies) == 1
    assert len(host.reports) == 1


async def test_a_call_is_decided_once(opened, host):
    async with opened() as session, anyio.create_task_group() as tasks:
        parked = Parked(tasks, session)
        await rung(host)
        await session.execute(decision(Reject))
        with pytest.raises(TooLate, match="decided already"):
            await session.execute(decision(Answer))
        assert [verb.tag for verb in verbs(await parked.answered())] == ["Reject"]

        with pytest.raises(TooLate, match="does not ring here"):
            await session.execute(Answer(id="d-2", call="call-2", ref="nobody"))


async def test_media_of_the_applications_own_are_refused(opened, host):
    async with opened() as session, anyio.create_task_group() as tasks:
        Parked(tasks, session)
        await rung(host)
        for answer in (decision(Answer, sdp="v=0"), decision(Answer, native={"Url": "x"})):
            with pytest.raises(Refused):
                await session.execute(answer)
        await session.execute(decision(Answer))


async def test_silence_gets_the_configured_default_at_the_deadline(opened, host, configure):
    async with opened(configure(decide_within=5, undecided="busy")) as session, anyio.create_task_group() as tasks:
        Parked(tasks, session)
        await rung(host)
        await host.clock.advance(5)
        again = Parked(tasks, session)
        (verb,) = verbs(await again.answered())
        assert (verb.tag, verb.attrib) == ("Reject", {"reason": "busy"})
        with pytest.raises(TooLate):
            await session.execute(decision(Answer))
        tasks.cancel_scope.cancel()


async def test_a_request_that_has_waited_long_enough_comes_again_while_it_rings(opened, host, monkeypatch):
    monkeypatch.setattr("telco_bridge_laml.webhooks._PARKED", 0.01)
    async with opened() as session, anyio.create_task_group() as tasks:
        (verb,) = verbs(await Parked(tasks, session).answered())
        assert (verb.tag, verb.text) == ("Redirect", "https://app.example.net/voice")

        await session.execute(decision(Answer))
        assert [verb.tag for verb in verbs(await Parked(tasks, session).answered())] == ["Gather", "Pause", "Redirect"]

    assert len(host.reports) == 1


async def test_a_call_that_ended_meanwhile_gets_any_document(opened, host):
    ended = {**RINGS, "CallStatus": "no-answer"}
    async with opened() as session, anyio.create_task_group() as tasks:
        parked = Parked(tasks, session)
        await rung(host)
        await session.receive(callback("status", ended))
        await parked.answered()
        with pytest.raises(TooLate):
            await session.execute(decision(Answer))

    assert host.reports[-1].state is CallState.ENDED


async def test_a_call_that_cannot_be_watched_rings_all_the_same(opened, host, space):
    space["watch"].mock(error(422, 21220))
    async with opened() as session, anyio.create_task_group() as tasks:
        Parked(tasks, session)
        assert (await rung(host)).state is CallState.RINGING
        await session.execute(decision(Answer))


async def test_forged_calls_do_not_ring(opened, host, caplog):
    async with opened() as session:
        for _ in range(3):
            assert (await session.receive(callback("voice", RINGS, key="wrong"))).status == 403

    assert host.facts == []
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "doctor webhook" in warning
