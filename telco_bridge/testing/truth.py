"""Promises of facts: what a plugin reports is shaped so that the core can weigh it, and what it reads is true."""

from __future__ import annotations

import re

import anyio

from ..provider import CallReport, Capability, Dialled, Gone, Source
from ..reports import CallState
from .harness import FarEnd, Harness
from .promises import Level, promise
from .tap import trial

__all__ = ["TruthPromises"]

_OUTBOUND = (Capability.DIAL, Capability.HANG_UP)


class TruthPromises:
    """What every plugin promises of its reports."""

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_read_tells_the_truth(self, harness: Harness) -> None:
        """A read tells the state that the call has now, and after the end that it has ended or is gone."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            ref = call.native_id or ""
            during = await line.tap.session.read(ref)
            await call.hangup()
            after = await line.tap.session.read(ref)

        assert isinstance(during, CallReport)
        assert during.ref == ref
        assert during.state is CallState.CONNECTED
        assert isinstance(after, Gone) or after.state is CallState.ENDED

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_call_that_the_provider_does_not_know_is_gone(self, harness: Harness) -> None:
        """A call that the provider does not know is gone: nothing is invented about it."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.BUSY))
            await call.ended()
            answer = await line.tap.session.read(_strange(call.native_id or ""))

        assert isinstance(answer, Gone)

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_facts_are_stamped_with_the_hosts_time(self, harness: Harness) -> None:
        """Every report is as old as the question it answers, or as its arrival, on the host's clock."""
        async with trial(harness) as line:
            began = line.tap.host.stamp()
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            asked = line.tap.host.stamp()
            read = await line.tap.session.read(call.native_id or "")
            answered = line.tap.host.stamp()
            await call.hangup()
            told = line.tap.reports
            ended = line.tap.host.stamp()

        assert asked <= read.as_of <= answered
        wrong = [report for report in told if not began <= report.as_of <= ended]
        assert not wrong, "as_of is not of the host's clock: use host.stamp()"

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_reports_say_where_they_come_from(self, harness: Harness) -> None:
        """Every report names its call and its source, and a dialled call is told as dialled."""
        async with trial(harness) as line:
            call = await line.bridge.dial(harness.address(FarEnd.ANSWERS))
            await call.answered()
            read = await line.tap.session.read(call.native_id or "")
            await call.hangup()
            told = line.tap.reports

        assert told
        assert all(report.ref is not None or report.command_id is not None for report in told)
        assert isinstance(read, CallReport)
        assert read.source is Source.READ
        assert any(isinstance(report.origin, Dialled) for report in told)

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_call_tells_both_its_parties(self, harness: Harness) -> None:
        """A call tells whom it was placed to, as the provider writes the address."""
        async with trial(harness) as line:
            address = harness.address(FarEnd.ANSWERS)
            call = await line.bridge.dial(address)
            await call.answered()

            assert call.remote is not None
            assert _digits(address) in _digits(call.remote.address)
            await call.hangup()

    @promise(Level.BASIC, needs=_OUTBOUND)
    async def test_a_command_is_accepted_before_it_is_done(self, harness: Harness) -> None:
        """A dial is accepted while the far end still rings: the plugin does not wait for what comes of it."""
        async with trial(harness) as line:
            # A dial that waits for the answer would return all the same, when the provider gives up.
            with anyio.fail_after(harness.patience / 3):
                call = await line.bridge.dial(harness.address(FarEnd.RINGS))

            assert call.view.reached is not CallState.CONNECTED
            assert not call.view.over
            await call.hangup()


def _strange(ref: str) -> str:
    """An identity of the same form, which no call has."""
    number = re.search(r"(?<![0-9a-zA-Z])[0-9]+$", ref)
    if number is not None:
        return f"{ref[: number.start()]}{int(number[0]) + 900_000}"
    return ref[:-1] + ("0" if ref[-1:] != "0" else "1")


def _digits(address: str) -> str:
    plain = "".join(c for c in address if c.isalnum())
    return plain.removeprefix("tel").removeprefix("sip")
