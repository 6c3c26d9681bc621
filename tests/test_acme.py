"""The plugin that authors copy: its session on the toy carrier's wire, where the kit does not look."""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.cli import template
from telco_bridge.clock import SystemClock
from telco_bridge.commands import new_id
from telco_bridge.provider import (
    AnswerLost,
    CallReport,
    CallState,
    Dial,
    Gap,
    Gone,
    HangUp,
    ProviderError,
    ProviderSession,
    RateLimited,
    Refused,
    Source,
    TooLate,
)
from telco_bridge.sandbox import Exchange, Fault, ToyCarrier
from telco_bridge.serving import Server


class Host:
    """What the core offers a plugin: a stamp that counts, and a memory of what was reported."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.facts: list[object] = []
        self.last = 0.0
        self._grown = anyio.Event()

    def stamp(self) -> float:
        self.last += 1
        return self.last

    def report(self, *facts: object) -> None:
        self.facts += facts
        self._grown.set()

    def url(self, path: str, **query: str) -> str | None:
        return None

    @property
    def pushed(self) -> list[CallReport]:
        return [fact for fact in self.facts if isinstance(fact, CallReport) and fact.source is Source.PUSH]

    async def hears(self, state: CallState) -> CallReport:
        """The first event with that state."""
        with anyio.fail_after(10):
            while True:
                grown = self._grown = anyio.Event()
                for report in self.pushed:
                    if report.state is state:
                        return report
                await grown.wait()


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.syspath_prepend(str(template.FOLDER))
    return "telco_bridge_acme"


@pytest.fixture
def carrier() -> Iterator[ToyCarrier]:
    with Exchange(speed=20) as exchange:
        toy = ToyCarrier(exchange)
        with Server(toy.app, started=toy.started, stopped=toy.stopped):
            yield toy


@pytest.fixture
async def host(anyio_backend: str) -> Host:
    return Host()


@asynccontextmanager
async def opened(
    acme: str, carrier: ToyCarrier, host: Host, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[ProviderSession]:
    config = importlib.import_module(f"{acme}.config").AcmeConfig.model_validate(
        {"base_url": carrier.url, "key": carrier.key}
    )
    async with importlib.import_module(f"{acme}.session").connect(config, host, transport=transport) as session:
        yield session


def dial(to: str = "+15550100") -> Dial:
    token = new_id()
    return Dial(id=token, call=token, to=to)


def reported(host: Host) -> CallReport:
    """The first report of a call."""
    return next(fact for fact in host.facts if isinstance(fact, CallReport))


def named(report: CallReport) -> str:
    assert report.ref is not None
    return report.ref


def test_it_uses_the_doors_that_are_for_plugins() -> None:
    for path in (template.FOLDER / "telco_bridge_acme").glob("*.py"):
        doors = set(re.findall(r"from telco_bridge\.(\w+)|import telco_bridge", path.read_text()))
        assert doors <= {"provider", "http", "sandbox"}, path


async def test_what_was_told_before_it_came_is_not_news(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session:
        await session.execute(dial("+15550103"))
        async with opened(acme, carrier, later := Host()) as second, anyio.create_task_group() as tasks:
            tasks.start_soon(second.run)
            await session.execute(HangUp(id="1", call="c", ref=named(reported(host))))
            await later.hears(CallState.ENDED)
            tasks.cancel_scope.cancel()

    assert CallState.DIALING not in [report.state for report in later.pushed]


async def test_an_answer_is_as_old_as_its_question_and_an_event_as_its_arrival(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session, anyio.create_task_group() as tasks:
        asked = host.last
        await session.execute(dial())
        answer = reported(host)
        tasks.start_soon(session.run)
        up = await host.hears(CallState.CONNECTED)
        tasks.cancel_scope.cancel()

    assert (answer.source, answer.as_of) == (Source.ANSWER, asked + 1)
    assert up.as_of > answer.as_of


async def test_what_happened_while_nobody_listened_is_as_old_as_the_gap(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session:
        carrier.faults.inject(Fault.DROP_ANSWER, on="GET /events")
        with pytest.raises(AnswerLost):
            await session.run()
        before = host.last
        await session.execute(dial("+15550101"))
        call = reported(host)
        with anyio.fail_after(10):
            while True:
                seen = await session.read(named(call))
                if isinstance(seen, CallReport) and seen.state is CallState.ENDED:
                    break
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            over = await host.hears(CallState.ENDED)
            tasks.cancel_scope.cancel()

    assert over.as_of <= before
    assert [report.state for report in host.pushed] == [CallState.DIALING, CallState.ENDED]


async def test_a_hole_in_the_numbers_is_a_gap(acme, carrier, host) -> None:
    carrier.faults.inject(Fault.LOSE_EVENT, on="event ringing")
    async with opened(acme, carrier, host) as session, anyio.create_task_group() as tasks:
        await session.execute(dial())
        tasks.start_soon(session.run)
        await host.hears(CallState.CONNECTED)
        tasks.cancel_scope.cancel()

    gaps = [fact for fact in host.facts if isinstance(fact, Gap)]
    assert len(gaps) == 1
    assert gaps[0].since < gaps[0].as_of


async def test_a_doubled_event_is_no_gap(acme, carrier, host) -> None:
    carrier.faults.inject(Fault.DOUBLE_EVENT, times=None)
    async with opened(acme, carrier, host) as session, anyio.create_task_group() as tasks:
        await session.execute(dial())
        tasks.start_soon(session.run)
        await host.hears(CallState.CONNECTED)
        tasks.cancel_scope.cancel()

    assert not [fact for fact in host.facts if isinstance(fact, Gap)]


async def test_a_call_that_is_over_is_too_late_to_hang_up(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session:
        await session.execute(dial("+15550103"))
        ref = named(reported(host))
        await session.execute(HangUp(id="1", call="c", ref=ref))

        with pytest.raises(TooLate, match="call is over"):
            await session.execute(HangUp(id="2", call="c", ref=ref))
        with pytest.raises(TooLate, match="no such call"):
            await session.execute(HangUp(id="3", call="c", ref="nobody"))
        assert isinstance(await session.read("nobody"), Gone)


async def test_what_the_carrier_refuses_is_refused_in_its_words(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session:
        with pytest.raises(Refused, match=r"'call me'.*no such number form"):
            await session.execute(dial("call me"))
        carrier.faults.inject(Fault.RATE_LIMIT, on="POST /calls", retry_after=3)
        with pytest.raises(RateLimited) as limit:
            await session.execute(dial())

    assert limit.value.retry_after == 3


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML_ANSWER, Fault.MALFORMED_JSON, Fault.DROP_ANSWER])
async def test_an_answer_that_tells_nothing_is_lost(acme, carrier, host, fault) -> None:
    async with opened(acme, carrier, host) as session:
        carrier.faults.inject(fault, on="POST /calls")
        with pytest.raises(AnswerLost):
            await session.execute(dial())

    assert host.facts == []


async def test_a_page_of_somebody_elses_does_not_mean_that_a_call_is_gone(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session:
        carrier.faults.inject(Fault.HTML_ANSWER, on="GET /calls/{id}", status=404)
        with pytest.raises(ProviderError):
            await session.read("call-1")


@pytest.mark.parametrize("act", ["hang up", "read"])
async def test_an_answer_about_another_call_is_not_believed(acme, carrier, host, act) -> None:
    def another(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/events":
            return httpx.Response(200, json={"events": [], "last": 0})
        return httpx.Response(200, json={"id": "another", "status": "over"})

    async with opened(acme, carrier, host, transport=httpx.MockTransport(another)) as session:
        with pytest.raises(ProviderError, match="another call"):
            await (session.read("mine") if act == "read" else session.execute(HangUp(id="1", call="c", ref="mine")))

    assert host.facts == []


async def test_all_live_calls_are_listed(acme, carrier, host) -> None:
    async with opened(acme, carrier, host) as session:
        await session.execute(dial("+15550103"))
        listed = await session.list_calls()

    call = reported(host)
    assert listed.complete
    assert [report.ref for report in listed.reports] == [call.ref]
