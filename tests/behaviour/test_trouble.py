"""Troubles that only some providers know, or that take a shape of their own there."""

from __future__ import annotations

from collections.abc import Iterator

import anyio.to_thread
import pytest

from telco_bridge import (
    AuthenticationFailed,
    CallConnected,
    CallEnded,
    CallState,
    Confidence,
    EndedBy,
    Modality,
    OutcomeUnknown,
    ProviderError,
    TerminationReason,
    connect,
)
from telco_bridge.sandbox import Fault, Sandbox
from telco_bridge.serving import Server

from .conftest import IMPATIENT, WEB, Place

R = TerminationReason

HANG_UP = {"ucwa": "DELETE conversation", "signalwire": "POST Calls/{sid}"}
UNREADABLE = [Fault.HTML_ANSWER, Fault.TRUNCATED_BODY, Fault.WRONG_CONTENT_TYPE]
HURRIED = {**IMPATIENT, "confirm_timeout": 2.0}


def dialled(place: Place) -> int:
    return len({leg for _, leg, _ in place.exchange.history})


async def test_a_wrong_secret_starts_no_storm_of_requests(place: Place) -> None:
    secret = "password" if place.name == "ucwa" else "token"

    with pytest.raises(AuthenticationFailed):
        async with connect({**place.settings, secret: "a guess"}):
            pytest.fail("nobody gets in with a guess")

    assert len(place.requests()) <= 3


@pytest.mark.parametrize(
    ("name", "fault"),
    [("ucwa", Fault.SERVER_ERROR), *(("signalwire", fault) for fault in [*UNREADABLE, Fault.SERVER_ERROR])],
)
async def test_a_broken_answer_to_a_hang_up_does_not_leave_the_call_up(
    request: pytest.FixtureRequest, name: str, fault: Fault
) -> None:
    place: Place = request.getfixturevalue(name)
    made = len(place.faults.made)
    async with connect(place.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        place.faults.inject(fault, on=HANG_UP[name])

        await call.hangup()
        termination = await call.ended()

    assert len(place.faults.made) > made
    assert termination.by is EndedBy.APPLICATION
    assert not place.exchange.legs


@pytest.mark.parametrize("fault", [*UNREADABLE, Fault.DROP_ANSWER])
async def test_a_dial_whose_answer_is_broken_is_found_by_its_callbacks(signalwire: Place, fault: Fault) -> None:
    await _dial_and_find(signalwire, fault, on="POST Calls")


async def test_a_dial_whose_answer_is_lost_is_found_by_its_operation_id(ucwa: Place) -> None:
    await _dial_and_find(ucwa, Fault.DROP_ANSWER, on="POST startPhoneAudio")


async def _dial_and_find(place: Place, fault: Fault, *, on: str) -> None:
    before = dialled(place)
    place.faults.inject(fault, on=on)
    async with connect({**place.settings, "lifecycle": HURRIED}) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.hangup()

    assert len(place.sent(on)) <= 1
    assert dialled(place) - before == 1
    assert not place.exchange.legs


async def test_a_dial_whose_answer_is_broken_is_shown_where_nobody_tells_of_it(polling: Place) -> None:
    before = dialled(polling)
    polling.faults.inject(Fault.HTML_ANSWER, on="POST Calls")
    async with connect({**polling.settings, "lifecycle": HURRIED}) as bridge:
        # Nothing but callbacks shows our token: the call is a candidate, and the decision the application's.
        with pytest.raises(OutcomeUnknown) as unknown:
            await bridge.dial("+15550100")
        (candidate,) = unknown.value.candidates
        (call,) = await bridge.recover()
        assert call.native_id == candidate.ref
        await call.hangup()

    assert dialled(polling) - before == 1
    assert not polling.exchange.legs


@pytest.fixture
def own() -> Iterator[Sandbox]:
    """A network of its own, that may be broken."""
    with Sandbox("ucwa", "signalwire", speed=20, name=None) as network:
        yield network


@pytest.mark.parametrize("name", ["ucwa", "signalwire"])
async def test_a_host_that_dies_in_the_middle_of_a_call_is_told_and_the_bridge_still_closes(
    own: Sandbox, name: str
) -> None:
    settings = {**own.profile(name), "web": WEB, "lifecycle": {**IMPATIENT, "close_timeout": 1.0}}
    async with connect(settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await anyio.to_thread.run_sync(own.stop, name)

        with pytest.raises(ProviderError):
            await call.hangup()
        assert call.termination is None

    assert call.termination is not None
    assert call.termination.reason is R.ORPHANED
    assert call.termination.confidence is Confidence.SYNTHETIC
    assert [event.name async for event in call.events()].count("CallEnded") == 1


async def test_credentials_do_not_follow_a_link_to_another_host(ucwa: Place) -> None:
    seen: list[str] = []

    async def elsewhere(scope, receive, send) -> None:
        seen.append(scope["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    with Server(elsewhere) as other:
        ucwa.faults.inject(Fault.FOREIGN_LINK, times=None, host=other.url)
        with pytest.raises(ProviderError):
            async with connect(ucwa.settings) as bridge:
                await bridge.dial("+15550100")

    assert seen == []


async def test_callbacks_that_come_late_change_nothing(signalwire: Place) -> None:
    signalwire.faults.inject(Fault.DELAY_EVENT, times=None)
    async with connect(signalwire.settings) as bridge:
        call = await bridge.dial("+15550104")
        termination = await call.ended()
        events = [event async for event in call.events()]

    assert termination.reason is R.NORMAL
    assert sum(isinstance(event, CallConnected) for event in events) == 1
    assert sum(isinstance(event, CallEnded) for event in events) == 1


@pytest.mark.parametrize("fault", [Fault.MERGE_EVENTS, Fault.EXPIRE_TOKEN])
async def test_merged_events_and_an_expired_token_lose_no_call(ucwa: Place, fault: Fault) -> None:
    async with connect(ucwa.settings) as bridge:
        ucwa.faults.inject(fault)
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.stop(Modality.AUDIO)
        if call.state is not CallState.ENDED:
            await call.hangup()

    assert call.termination is not None
    assert call.termination.by is EndedBy.APPLICATION
