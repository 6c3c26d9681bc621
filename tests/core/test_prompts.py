"""Say, play, send digits, transfer: done when the provider says so, and never two at a time."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup

from telco_bridge import Bridge, Call, NotPossibleNow, OutcomeUnknown, Refused, TerminationReason
from telco_bridge.provider import (
    AnswerLost,
    Command,
    CommandDone,
    CommandFailed,
    Play,
    Say,
    SendDigits,
    TooLate,
    Transfer,
)
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Script, Soon, cause


@pytest.fixture
def script() -> Script:
    return Script(tells_done=frozenset({Say, Play, Transfer}))


def done(script: Script, command: Command) -> None:
    script.report(CommandDone(as_of=script.host.stamp(), ref="c1", command_id=command.id))


def failed(script: Script, command: Command, code: str = "busy") -> None:
    script.report(CommandFailed(as_of=script.host.stamp(), ref="c1", command_id=command.id, cause=cause(code)))


async def sent(script: Script, kind: type[Command], count: int = 1) -> Command:
    """The latest command of that kind, as soon as there are so many."""
    while len(script.asked_for(kind)) < count:
        await anyio.lowlevel.checkpoint()
    return script.asked_for(kind)[-1]


async def settled(soon: Soon) -> None:
    while not soon.done:
        await anyio.lowlevel.checkpoint()


async def test_a_text_has_been_said_when_the_provider_says_so(call: Call, script: Script, tasks: TaskGroup) -> None:
    said = Soon(tasks, call.say, "hello", language="en-US")
    command = await sent(script, Say)
    await anyio.wait_all_tasks_blocked()
    assert not said.done
    assert call.asked is not None

    done(script, command)
    await settled(said)

    assert said.error is None
    assert call.asked is None
    assert isinstance(command, Say)
    assert (command.text, command.language) == ("hello", "en-US")


async def test_there_is_no_limit_to_how_long_a_prompt_may_take(
    call: Call, script: Script, tasks: TaskGroup, clock: SteppedClock
) -> None:
    said = Soon(tasks, call.play, "https://app.example.net/opera.wav", times=3)
    command = await sent(script, Play)
    await clock.advance(10_000)
    await anyio.wait_all_tasks_blocked()
    assert not said.done

    done(script, command)
    await settled(said)
    assert said.error is None


async def test_a_later_prompt_takes_the_place_of_an_earlier_one(call: Call, script: Script, tasks: TaskGroup) -> None:
    first = Soon(tasks, call.say, "once upon a time")
    await sent(script, Say)
    second = Soon(tasks, call.say, "stop")
    command = await sent(script, Say, 2)
    await settled(first)

    assert isinstance(first.error, NotPossibleNow)
    assert "something else is said instead" in str(first.error)
    done(script, command)
    await settled(second)
    assert second.error is None


async def test_prompts_are_sent_in_the_order_in_which_they_were_asked_for(
    call: Call, script: Script, tasks: TaskGroup
) -> None:
    slow = anyio.Event()

    async def wait(command: Command) -> None:
        await slow.wait()

    script.on(Say, wait)
    first = Soon(tasks, call.say, "one")
    await sent(script, Say)
    second = Soon(tasks, call.say, "two")
    await anyio.wait_all_tasks_blocked()
    assert len(script.asked_for(Say)) == 1

    slow.set()
    command = await sent(script, Say, 2)
    await settled(first)
    assert isinstance(first.error, NotPossibleNow)
    done(script, command)
    await settled(second)
    assert second.error is None


async def test_a_prompt_that_the_end_of_the_call_cuts_off_is_not_done(
    call: Call, script: Script, tasks: TaskGroup
) -> None:
    said = Soon(tasks, call.say, "goodbye")
    await sent(script, Say)
    script.ended()
    await settled(said)

    assert isinstance(said.error, NotPossibleNow)
    assert "the call ended meanwhile" in str(said.error)


async def test_a_prompt_that_fails_later_says_why(call: Call, script: Script, tasks: TaskGroup) -> None:
    said = Soon(tasks, call.play, "https://app.example.net/none.wav")
    failed(script, await sent(script, Play))
    await settled(said)

    assert isinstance(said.error, Refused)
    assert said.error.termination is not None
    assert said.error.termination.reason is TerminationReason.BUSY


async def test_a_prompt_whose_answer_was_lost_may_still_be_told_to_be_done(
    call: Call, script: Script, tasks: TaskGroup
) -> None:
    script.on(Say, AnswerLost("the line broke"))
    said = Soon(tasks, call.say, "hello")
    done(script, await sent(script, Say))
    await settled(said)

    assert said.error is None
    assert len(script.asked_for(Say)) == 1


async def test_a_prompt_whose_answer_was_lost_is_in_doubt_when_nothing_more_is_told(
    call: Call, script: Script, tasks: TaskGroup, clock: SteppedClock
) -> None:
    script.on(Say, AnswerLost("the line broke"))
    said = Soon(tasks, call.say, "hello")
    await sent(script, Say)
    await anyio.wait_all_tasks_blocked()
    await clock.advance(60)
    await settled(said)

    assert isinstance(said.error, OutcomeUnknown)
    assert len(script.asked_for(Say)) == 1


async def test_where_nobody_tells_of_the_end_acceptance_is_all(call: Call, script: Script) -> None:
    await call.send_digits("12")

    assert script.sent[-1] == "SendDigits"
    assert call.asked is None


@pytest.mark.parametrize(("url", "times"), [("", 1), (" ", 1), ("https://app.example.net/x.wav", 0)])
async def test_nothing_is_not_played(call: Call, script: Script, url: str, times: int) -> None:
    with pytest.raises(ValueError, match="cannot play"):
        await call.play(url, times=times)
    with pytest.raises(ValueError, match="nothing to say"):
        await call.say("  ")
    assert script.sent == ["Dial"]


# Transfer -------------------------------------------------------------------------------------------------------------


async def test_a_call_that_somebody_else_has_taken_is_released(
    bridge: Bridge, script: Script, tasks: TaskGroup
) -> None:
    call = await bridge.dial(TO)
    script.connected("c1")
    assert call.owned
    transferred = Soon(tasks, call.transfer, "+15550200", caller_id="+15550300", ring_timeout=20, note="sales")
    command = await sent(script, Transfer)
    assert isinstance(command, Transfer)
    assert (command.to, command.caller_id, command.ring_timeout) == ("+15550200", "+15550300", 20)
    assert call.owned
    done(script, command)
    await settled(transferred)

    assert transferred.error is None
    assert not call.owned
    script.ended()
    told = await call.ended()
    assert (told.requested, told.note) == (TerminationReason.TRANSFERRED, "sales")


async def test_a_transfer_that_nobody_takes_explains_no_end(call: Call, script: Script, tasks: TaskGroup) -> None:
    transferred = Soon(tasks, call.transfer, "+15550200")
    failed(script, await sent(script, Transfer))
    await settled(transferred)

    assert isinstance(transferred.error, Refused)
    assert call.owned
    assert call.asked is None
    assert "CommandFailedLater" in history_of(call)
    script.ended()
    assert (await call.ended()).requested is None


async def test_a_far_end_that_does_not_wait_for_the_transfer_has_hung_up(
    call: Call, script: Script, tasks: TaskGroup
) -> None:
    transferred = Soon(tasks, call.transfer, "+15550200")
    await sent(script, Transfer)
    script.ended()
    await settled(transferred)

    assert isinstance(transferred.error, NotPossibleNow)
    assert (await call.ended()).requested is None


async def test_a_transfer_that_is_too_late_changes_nothing(call: Call, script: Script) -> None:
    script.on(Transfer, TooLate("it has ended"))
    script.truth["c1"] = script.fact("c1")

    with pytest.raises(NotPossibleNow, match="too late"):
        await call.transfer("+15550200")
    assert call.owned


async def test_where_nobody_tells_of_transfers_acceptance_is_all(bridge: Bridge, script: Script, call: Call) -> None:
    assert script.session is not None
    script.session.tells_done = frozenset()

    await call.transfer("+15550200")

    assert not call.owned
    script.ended()
    assert (await call.ended()).requested is TerminationReason.TRANSFERRED


async def test_what_is_done_by_nobodys_command_is_ignored(call: Call, script: Script) -> None:
    script.report(CommandDone(as_of=script.host.stamp(), ref="c1", command_id="somebody's"))

    assert call.asked is None
    with pytest.raises(ValueError, match="does not say which command"):
        CommandDone(as_of=0.0, ref="c1")


async def test_digits_cut_off_a_prompt_like_any_other(call: Call, script: Script, tasks: TaskGroup) -> None:
    said = Soon(tasks, call.say, "press one")
    await sent(script, Say)
    await call.send_digits("1")
    await settled(said)

    assert isinstance(said.error, NotPossibleNow)
    assert isinstance(script.executed[-1], SendDigits)


def history_of(call: Call) -> list[str]:
    log = call._record.log
    return [type(log.at(position)).__name__ for position in range(log.written)]
