"""One connection to Acme: requests out, events in, facts to the host. It translates, and believes nothing itself.

What to raise is what is known: `NotSent` where the request never left (the core may repeat it), `AnswerLost` where it
may have been executed (the core looks for facts, and never repeats a dial), `TooLate` where the state forbids it (the
core reads, and decides), `Refused` where the provider said no. `telco_bridge.http` does most of that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx

from telco_bridge.http import open_client, refusal, send
from telco_bridge.provider import (
    AnswerLost,
    CallList,
    CallReport,
    Command,
    Dial,
    Gap,
    Gone,
    HangUp,
    Host,
    NotSent,
    ProviderError,
    ProviderSession,
    Source,
    TooLate,
    Unreachable,
    Unsupported,
)

from . import encode, wire
from .config import PROVIDER, AcmeConfig
from .decode import decode_call

__all__ = ["AcmeSession", "connect"]

P = TypeVar("P", bound=wire.Payload)

_UNKNOWN_CALL = 404
_WRONG_STATE = 409

_HOLD = 20.0
"""Seconds that a request for events waits there. Without events at all: no `run`, and a `max_staleness` to read by."""


@asynccontextmanager
async def connect(
    config: AcmeConfig, host: Host, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[ProviderSession]:
    """Open a session, once Acme has accepted the key. `transport` replaces the network, for tests.

    Raises `AuthenticationFailed` for a wrong key, `Unreachable` where nobody answers, and another `ProviderError` where
    somebody else does.
    """
    async with open_client(config.base_url, timeout=config.timeout, transport=transport) as client:
        client.headers["authorization"] = f"Bearer {config.key.get_secret_value()}"
        session = AcmeSession(client, config, host)
        await session.sign_in()
        yield session
        # To sign out: here, within bounded time (`with anyio.move_on_after(5, shield=True)`), in a `finally`.


class AcmeSession(ProviderSession):
    """Translates between the host and the API."""

    def __init__(self, client: httpx.AsyncClient, config: AcmeConfig, host: Host) -> None:
        self._client = client
        self._config = config
        self._host = host
        self._after = 0
        self._heard = 0.0
        self._interrupted = False

    async def sign_in(self) -> None:
        """Ask where the events are now, so that a wrong key or address shows at once."""
        self._heard = self._host.stamp()
        try:
            page = await self._question(wire.EventPage, encode.position(), f"connecting to {self._config.base_url}")
        except (NotSent, AnswerLost) as error:
            raise Unreachable(
                f"{PROVIDER} cannot be reached: {error}. Check base_url.", provider=PROVIDER, status=error.status
            ) from error
        self._after = page.last

    async def execute(self, command: Command) -> None:
        """Send the command and report what the answer says. Never wait for the effect: the core does."""
        match command:
            case Dial():
                await self._change(encode.dial(command, self._config), f"dialling {command.to!r}")
            case HangUp():
                await self._change(encode.hang_up(command), f"hanging up call {command.ref}", of=command.ref)
            # To offer media: StartMedia and StopMedia, each a function in `encode.py`. A stop names the streams that it
            # ends, and those that must live (`keep`): never end more than was asked.
            # To offer inbound calls: Answer and Reject.
            case _:
                raise Unsupported(f"{PROVIDER}: {command.name} is not supported; nothing was sent")

    async def read(self, ref: str) -> CallReport | Gone:
        """Ask for one call. That Acme does not know it is an answer; that nobody answers proves nothing."""
        what = f"reading call {ref}"
        as_of = self._host.stamp()  # Before sending: what the answer says was true from then on, at the latest.
        response = await self._send(encode.read(ref))
        words = wire.error_words(response.content)
        if response.status_code == _UNKNOWN_CALL and words is not None:
            return Gone(as_of, words)
        call = self._read(wire.CallResource, response, what)
        if call.id != ref:
            raise ProviderError(f"{what}: the answer is about another call", provider=PROVIDER)
        return decode_call(call, source=Source.READ, as_of=as_of)

    async def list_calls(self) -> CallList:
        """Ask for all live calls. Say `complete` only where a call that is not there is certainly over."""
        as_of = self._host.stamp()
        page = await self._question(wire.CallPage, encode.list_calls(), "listing calls")
        reports = tuple(decode_call(call, source=Source.READ, as_of=as_of) for call in page.calls)
        return CallList(reports, as_of, complete=True)

    async def run(self) -> None:
        """Hear events for as long as the session lives. Where it breaks, the core tells of a gap and starts it again.

        Where the provider calls back instead (webhooks), write `receive`, and check the signature before parsing.
        """
        if self._interrupted:
            # What waits there happened while nobody listened: it is as old as what was heard last, and not new.
            await self._hear(wait=0, as_of=self._heard)
        self._interrupted = True
        while True:
            await self._hear(wait=_HOLD)

    async def _hear(self, *, wait: float, as_of: float | None = None) -> None:
        request = encode.events(after=self._after, wait=wait)
        page = await self._question(wire.EventPage, request, "listening for events", patience=wait)
        arrived = self._host.stamp()
        true_since = arrived if as_of is None else as_of
        events = [event for event in page.events if event is not None]
        self._host.report(*(decode_call(event.call, source=Source.PUSH, as_of=true_since) for event in events))
        if len({event.n for event in events}) != page.last - self._after:
            why = f"{PROVIDER} counts its events up to {page.last}, and not all of them came"
            self._host.report(Gap(as_of=arrived, since=self._heard, why=why))
        self._after, self._heard = page.last, arrived

    async def _change(self, request: encode.Request, what: str, *, of: str | None = None) -> None:
        """Send what changes a call, and report the call as it is answered. `of` is the call, where it has a name."""
        as_of = self._host.stamp()
        response = await self._send(request)
        if of is not None and response.status_code in (_UNKNOWN_CALL, _WRONG_STATE):
            words = wire.error_words(response.content) or ""
            raise TooLate(f"{what}: {words}", provider=PROVIDER, status=response.status_code)
        if not response.is_success:
            raise self._refusal(response, what)
        try:
            call = wire.read(wire.CallResource, response.content)
            if of not in (None, call.id):
                raise wire.Unreadable("the answer is about another call")
        except wire.Unreadable as error:
            # A success that cannot be read was probably executed: nobody may do it again.
            raise AnswerLost(f"{what}: {error}. It may have been done.", provider=PROVIDER) from error
        self._host.report(decode_call(call, source=Source.ANSWER, as_of=as_of))

    async def _question(self, model: type[P], request: encode.Request, what: str, *, patience: float = 0.0) -> P:
        return self._read(model, await self._send(request, patience=patience), what)

    def _read(self, model: type[P], response: httpx.Response, what: str) -> P:
        if not response.is_success:
            raise self._refusal(response, what)
        try:
            return wire.read(model, response.content)
        except wire.Unreadable as error:
            raise ProviderError(
                f"{what}: HTTP {response.status_code}, but {error}. Check that base_url is the API's address.",
                provider=PROVIDER,
                status=response.status_code,
            ) from error

    async def _send(self, request: encode.Request, *, patience: float = 0.0) -> httpx.Response:
        """Send the request; `patience` are seconds that its answer may take beside the ordinary ones."""
        sent = self._client.build_request(
            request.method,
            f"{self._config.base_url}{request.path}",
            params=request.query,
            json=request.body,
            timeout=self._config.timeout + patience,
        )
        return await send(self._client, sent, provider=PROVIDER)

    def _refusal(self, response: httpx.Response, what: str) -> ProviderError:
        words = wire.error_words(response.content) or ""
        now = self._host.clock.now()
        return refusal(response, provider=PROVIDER, what=what, message=words, now=now)
