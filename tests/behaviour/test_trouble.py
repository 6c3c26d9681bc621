"""What happens when the provider, or the way to it, misbehaves."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest

from telco_bridge import (
    AuthenticationFailed,
    CallEnded,
    CallState,
    Confidence,
    EndedBy,
    Modality,
    OutcomeUnknown,
    ProviderError,
    Source,
    TerminationReason,
    Unreachable,
    connect,
)
from telco_bridge.sandbox import Fault, Sandbox
from telco_bridge.serving import Server

from .conftest import IMPATIENT, WEB, Place

R = TerminationReason

HANG_UP = {"ucwa": "DELETE conversation", "signalwire": "POST Calls/{sid}", "signalwire-polling": "POST Calls/{sid}"}
DIAL = {"ucwa": "POST startPhoneAudio", "signalwire": "POST Calls", "signalwire-polling": "POST Calls"}
BROKEN_ANSWERS = [Fault.HTML_ANSWER, Fault.MALFORMED_JSON, Fault.TRUNCATED_BODY, Fault.WRONG_CONTENT_TYPE]


def faults(place: Place):
    assert place.emulator is not None
    return place.emulator.faults


def dialled(place: Place) -> int:
    return len({leg for _, leg, _ in place.exchange.history})


async def test_a_wrong_secret_is_one_clear_error_and_no_storm(wired: Place) -> None:
    secret = "password" if wired.name == "ucwa" else "token"
    assert wired.emulator is not None
    wrong = {**wired.settings, secret: "a guess"}

    with pytest.raises(AuthenticationFailed) as refusal:
        async with connect(wrong):
            pytest.fail("nobody gets in with a guess")

    assert "a guess" not in str(refusal.value)
    assert len(wired.emulator.wire.records(sent_by="bridge")) - wired.before <= 3


async def test_a_host_that_is_down_is_unreachable(wired: Place) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    moved = {name: _moved(value, wired, dead) for name, value in wired.settings.items()}

    with pytest.raises(Unreachable, match="cannot be reached"):
        async with connect(moved):
            pytest.fail("there is nobody")


def _moved(value: object, place: Place, to: str) -> object:
    assert place.emulator is not None
    return value.replace(place.emulator.url, to) if isinstance(value, str) else value


@pytest.mark.parametrize("fault", [*BROKEN_ANSWERS, Fault.DROP_ANSWER, Fault.SERVER_ERROR])
async def test_a_broken_answer_to_a_hang_up_does_not_leave_the_call_up(wired: Place, fault: Fault) -> None:
    async with connect(wired.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        faults(wired).inject(fault, on=HANG_UP[wired.name])

        await call.hangup()
        termination = await call.ended()

    assert termination.by is EndedBy.APPLICATION
    assert not wired.exchange.legs


@pytest.mark.parametrize("fault", [*BROKEN_ANSWERS, Fault.DROP_ANSWER])
async def test_a_broken_answer_to_a_dial_never_dials_twice(wired: Place, fault: Fault) -> None:
    before = dialled(wired)
    faults(wired).inject(fault, on=DIAL[wired.name])
    async with connect({**wired.settings, "lifecycle": {**IMPATIENT, "confirm_timeout": 2.0}}) as bridge:
        if wired.name == "signalwire-polling":
            # Nothing but callbacks shows our token: the call is a candidate, and the decision the application's.
            with pytest.raises(OutcomeUnknown) as unknown:
                await bridge.dial("+15550100")
            assert len(unknown.value.candidates) == 1
            (call,) = await bridge.recover()
        else:
            call = await bridge.dial("+15550100")
            await call.answered()
        await call.hangup()

    assert len(wired.sent(DIAL[wired.name])) <= 1
    assert dialled(wired) - before == 1
    assert not wired.exchange.legs


async def test_a_dial_that_was_too_early_is_tried_again(wired: Place) -> None:
    before = dialled(wired)
    faults(wired).inject(Fault.RATE_LIMIT, on=DIAL[wired.name], retry_after=0)
    async with connect(wired.settings) as bridge:
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.hangup()

    assert dialled(wired) - before == 1


async def test_a_lost_end_is_found_out(wired: Place) -> None:
    event = "event" if wired.name == "ucwa" else "callback completed"
    async with connect({**wired.settings, "lifecycle": {**IMPATIENT, "sweep_interval": 0.3}}) as bridge:
        call = await bridge.dial("+15550104")
        await call.answered()
        faults(wired).inject(Fault.LOSE_EVENT, times=None, on=event)

        termination = await call.ended()

        assert [e.name async for e in call.events()].count("CallEnded") == 1
    assert termination.reason in (R.NORMAL, R.UNKNOWN)
    assert termination.confidence in (Confidence.DERIVED, Confidence.INFERRED, Confidence.REPORTED)


async def test_a_state_that_nobody_documented_is_kept_and_changes_nothing(wired: Place) -> None:
    async with connect(wired.settings) as bridge:
        call = await bridge.dial("+15550100")
        faults(wired).inject(Fault.UNKNOWN_STATE)
        await call.answered()
        await call.hangup()

        assert call.state is CallState.ENDED


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
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
        faults(ucwa).inject(Fault.FOREIGN_LINK, times=None, host=other.url)
        with pytest.raises(ProviderError):
            async with connect(ucwa.settings) as bridge:
                await bridge.dial("+15550100")

    assert seen == []


@pytest.mark.parametrize("fault", [Fault.DOUBLE_EVENT, Fault.REORDER_EVENTS, Fault.DELAY_EVENT])
async def test_doubled_and_disordered_events_change_nothing(signalwire: Place, fault: Fault) -> None:
    faults(signalwire).inject(fault, times=None)
    async with connect(signalwire.settings) as bridge:
        call = await bridge.dial("+15550104")
        termination = await call.ended()
        names = [event.name async for event in call.events()]

    assert termination.reason is R.NORMAL
    assert names.count("CallConnected") == 1
    assert names.count("CallEnded") == 1


async def test_an_event_without_a_signature_is_not_believed(signalwire: Place) -> None:
    faults(signalwire).inject(Fault.UNSIGNED_EVENT, times=None)
    async with connect({**signalwire.settings, "lifecycle": {**IMPATIENT, "sweep_interval": 0.3}}) as bridge:
        call = await bridge.dial("+15550104")

        termination = await call.ended()
        ends = [event.source async for event in call.events() if isinstance(event, CallEnded)]

    assert termination.reason is R.NORMAL
    assert ends == [Source.READ]


@pytest.mark.parametrize("fault", [Fault.EVENT_BEFORE_ANSWER, Fault.MERGE_EVENTS, Fault.EXPIRE_TOKEN])
async def test_events_that_overtake_answers_or_are_merged_find_their_call(ucwa: Place, fault: Fault) -> None:
    async with connect(ucwa.settings) as bridge:
        faults(ucwa).inject(fault)
        call = await bridge.dial("+15550100")
        await call.answered()
        await call.stop(Modality.AUDIO)
        termination = await call.ended() if call.state is CallState.ENDED else None
        if termination is None:
            await call.hangup()

    assert call.termination is not None
    assert call.termination.by is EndedBy.APPLICATION
