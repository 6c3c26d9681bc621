"""Promises for bad days: lost, doubled, forged and unreadable messages, and a provider that is not there."""

from __future__ import annotations

from contextlib import suppress

import pytest
from pydantic import SecretStr

from ..call import Call
from ..commands import Dial, HangUp, SendDigits
from ..errors import AuthenticationFailed, OutcomeUnknown, ProviderError, Unreachable
from ..events import CallConnected, CallEnded
from ..provider import Capability, Confidence, EndedBy, Source, TerminationReason
from ..reports import CallReport, CallState
from .calls import history
from .harness import FarEnd, Harness, Trouble
from .promises import Level, promise, skip
from .tap import Trial, trial

__all__ = ["TroublePromises"]

_R = TerminationReason
_OUTBOUND = (Capability.DIAL, Capability.HANG_UP)
_T = Trouble


async def _dialled_in_doubt(line: Trial, harness: Harness) -> Call | None:
    """The call of a dial whose answer may be lost, found by us or recovered by hand; None where there is none."""
    try:
        return await line.bridge.dial(harness.address(FarEnd.ANSWERS))
    except OutcomeUnknown as unknown:
        if not unknown.candidates:
            return None
    recovered = await line.bridge.recover()
    assert len(recovered) == 1, "the call whose answer was lost is not among the live calls"
    return recovered[0]


class TroublePromises:
    """What every provider promises when things go wrong. A dial is never doubled, and no call is left up."""

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.REQUEST_LOST,))
    async def test_a_dial_that_never_got_there_is_not_two_calls(self, harness: Harness) -> None:
        """A dial whose request was lost makes one call or none, and an error says so where there is none."""
        async with trial(harness, confirm_timeout=1.0, close_timeout=0.5) as line:
            await harness.inject(_T.REQUEST_LOST, on=Dial)
            try:
                call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            except (OutcomeUnknown, ProviderError):
                assert harness.placed() == 0
            else:
                await call.answered()
                await call.hangup()
                assert harness.placed() == 1

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.ANSWER_LOST,))
    async def test_a_dial_whose_answer_was_lost_is_never_doubled(self, harness: Harness) -> None:
        """A dial whose answer was lost is not dialled again: the call is found, or shown as a candidate."""
        await self._dial_in_doubt(harness, _T.ANSWER_LOST)

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.ANSWER_GARBLED,))
    async def test_a_dial_whose_answer_cannot_be_read_is_never_doubled(self, harness: Harness) -> None:
        """A dial whose answer cannot be read is not dialled again either."""
        await self._dial_in_doubt(harness, _T.ANSWER_GARBLED)

    async def _dial_in_doubt(self, harness: Harness, trouble: Trouble) -> None:
        async with trial(harness, confirm_timeout=1.5) as line:
            await harness.inject(trouble, on=Dial)
            call = await _dialled_in_doubt(line, harness)
            if call is not None:
                await call.answered()
                await call.hangup()

            assert harness.placed() == 1
            assert line.sent(Dial) == 1

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.RATE_LIMITED,))
    async def test_a_dial_that_came_too_soon_is_dialled_once(self, harness: Harness) -> None:
        """A dial that is refused because there were too many is tried again, and makes one call."""
        async with trial(harness) as line:
            await harness.inject(_T.RATE_LIMITED, on=Dial)
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await call.hangup()

        assert harness.placed() == 1

    @promise(Level.BASIC, needs=_OUTBOUND)
    @pytest.mark.parametrize("trouble", [_T.REQUEST_LOST, _T.ANSWER_LOST, _T.ANSWER_GARBLED])
    async def test_a_hang_up_in_trouble_leaves_no_call_up(self, harness: Harness, trouble: Trouble) -> None:
        """A hang-up that is lost, or whose answer is, ends the call all the same."""
        if trouble in harness.impossible:
            skip(f"{trouble} cannot happen: {harness.impossible[trouble]}")
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await harness.inject(trouble, on=HangUp)
            await call.hangup()
            told = await call.ended()

            assert told.by is EndedBy.APPLICATION
            assert harness.up() == 0

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.EVENTS_LOST,))
    async def test_an_end_that_was_not_told_is_found_out(self, harness: Harness) -> None:
        """An end that was never told is found out by asking, once."""
        async with trial(harness, sweep_interval=0.3) as line:
            call = await line.bridge.dial(harness.address(FarEnd.HANGS_UP))
            await harness.inject(_T.EVENTS_LOST, times=None)
            told = await call.ended()
            ends = [event for event in await history(call) if isinstance(event, CallEnded)]

        assert told.reason in (_R.NORMAL, _R.UNKNOWN)
        assert told.confidence is not Confidence.SYNTHETIC
        assert len(ends) == 1
        assert ends[0].source in (Source.READ, None)

    @promise(Level.BASIC, needs=_OUTBOUND)
    @pytest.mark.parametrize("trouble", [_T.EVENTS_DOUBLED, _T.EVENTS_DISORDERED])
    async def test_doubled_and_disordered_events_change_nothing(self, harness: Harness, trouble: Trouble) -> None:
        """Events that come twice, or in another order, tell the same story."""
        if trouble in harness.impossible:
            skip(f"{trouble} cannot happen: {harness.impossible[trouble]}")
        async with trial(harness, sweep_interval=1.0) as line:
            await harness.inject(trouble, times=None)
            call = await line.bridge.dial(harness.address(FarEnd.HANGS_UP))
            told = await call.ended()
            events = await history(call)

        assert told.reason is _R.NORMAL
        assert sum(isinstance(event, CallConnected) for event in events) == 1
        assert sum(isinstance(event, CallEnded) for event in events) == 1

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.EVENT_EARLY,))
    async def test_an_event_that_overtakes_its_answer_finds_its_call(self, harness: Harness) -> None:
        """What a dial causes may be told before the dial is answered, and still finds its call."""
        async with trial(harness) as line:
            await harness.inject(_T.EVENT_EARLY, on=Dial)
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await call.hangup()

            assert line.bridge.health.foreign == 0
        assert harness.placed() == 1

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.EVENT_FORGED,))
    async def test_a_forged_event_is_not_believed(self, harness: Harness) -> None:
        """What is told without the provider's proof is not believed; the truth is found out by asking."""
        async with trial(harness, sweep_interval=0.3) as line:
            await harness.inject(_T.EVENT_FORGED, times=None)
            call = await line.bridge.dial(harness.address(FarEnd.HANGS_UP))
            told = await call.ended()
            ends = [event.source for event in await history(call) if isinstance(event, CallEnded)]

        assert ends == [Source.READ]
        assert told.reason in (_R.NORMAL, _R.UNKNOWN)

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.STATE_UNKNOWN,))
    async def test_a_state_that_nobody_documented_is_kept_and_changes_nothing(self, harness: Harness) -> None:
        """A state that nobody has documented is kept in the provider's words, and moves nothing."""
        async with trial(harness, sweep_interval=1.0) as line:
            await harness.inject(_T.STATE_UNKNOWN)
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            # Where nothing is told unasked, the word comes with an answer.
            answer = await line.tap.session.read(call.native_id or "")
            if isinstance(answer, CallReport):
                line.tap.host.report(answer)

            assert call.state is CallState.CONNECTED
            await call.hangup()
            told = [*line.tap.reports, *line.tap.reads]
            kept = [
                report
                for report in told
                if getattr(report, "native_state", None) is not None
                or any(stream.native_state is not None for stream in getattr(report, "streams", ()))
            ]
        assert kept, "the unknown word is in no report: put it into native_state"

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_provider_that_is_not_there_is_unreachable(self, harness: Harness) -> None:
        """A provider that is not there is one clear error, before anything was sent."""
        nowhere = harness.nowhere()
        if nowhere is None:
            skip("there is no way in which it cannot be reached")
        with pytest.raises(Unreachable):
            async with trial(harness, settings=nowhere) as line:
                await line.bridge.dial(harness.address(FarEnd.ANSWERS))

        assert harness.placed() == 0

    @promise(Level.BASIC)
    async def test_wrong_secrets_are_one_clear_error(self, harness: Harness) -> None:
        """A wrong secret is one clear error that does not show it, and nobody is asked again and again."""
        guess = "a-guess-that-is-wrong"
        wrong = {**harness.settings, **{name: guess for name, v in harness.options if isinstance(v, SecretStr)}}
        if wrong == harness.settings:
            skip("this set-up has no secrets")
        sent = harness.sent()

        with pytest.raises(AuthenticationFailed) as refusal:
            async with trial(harness, settings=wrong) as line:
                await line.bridge.dial(harness.address(FarEnd.ANSWERS))

        assert guess not in str(refusal.value)
        assert harness.sent() - sent <= 3
        assert harness.placed() == 0

    @promise(Level.BASIC, needs=_OUTBOUND, troubles=(_T.REQUEST_LOST,))
    async def test_a_provider_that_dies_does_not_hold_the_bridge_up(self, harness: Harness) -> None:
        """A provider that dies in the middle of a call is told, and the bridge closes within its time."""
        async with trial(harness, close_timeout=0.3, confirm_timeout=1.0) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await harness.inject(_T.REQUEST_LOST, times=None)

        assert call.termination is not None
        assert call.termination.reason is _R.ORPHANED
        assert call.termination.confidence is Confidence.SYNTHETIC
        assert sum(isinstance(event, CallEnded) for event in await history(call)) == 1

    @promise(Level.FULL, needs=(*_OUTBOUND, Capability.SEND_DIGITS), troubles=(_T.ANSWER_LOST,))
    async def test_digits_whose_answer_was_lost_are_not_sent_again(self, harness: Harness) -> None:
        """Digits whose answer was lost are not sent twice: the doubt is told, if the provider does not end it."""
        async with trial(harness, confirm_timeout=1.0) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            await harness.inject(_T.ANSWER_LOST, on=SendDigits)
            with suppress(OutcomeUnknown):
                await call.send_digits("7")
                assert SendDigits in line.tap.session.tells_done, "an answer was lost, and nobody was told"

            assert harness.heard(call) == "7"
            assert line.sent(SendDigits) == 1
            await call.hangup()
