"""One connection to a LaML carrier: commands out, webhooks in, facts to the host."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from telco_bridge.http import open_client
from telco_bridge.provider import (
    Answer,
    AnswerLost,
    CallList,
    CallReport,
    CallState,
    Command,
    ConfigError,
    Dial,
    Fact,
    Gone,
    HangUp,
    Hold,
    Host,
    MediaDirection,
    MediaWire,
    NotSent,
    PauseRecording,
    Play,
    ProviderError,
    ProviderSession,
    RecordingReport,
    Redirect,
    Refused,
    Reject,
    Resume,
    ResumeRecording,
    Say,
    SendDigits,
    Source,
    StartMedia,
    StartRecording,
    StopMedia,
    StopRecording,
    StreamTarget,
    TerminationReason,
    TooLate,
    Transfer,
    Unreachable,
    Unsupported,
    WebRequest,
    WebResponse,
)

from . import encode
from .api import GONE, NO_SUCH_RESOURCE, Api, said
from .config import LamlConfig
from .decode import decode_call, decode_error, decode_recording, decode_stream, ended_stream
from .dialect import HOLD
from .documents import RejectReason, Verb, reject
from .media import LamlMedia
from .ringing import Ringing
from .scripts import Scripts, script
from .webhooks import Webhooks
from .wire import CallPage, CallResource, RecordingResource, StreamResource

__all__ = ["LamlSession", "connect"]
_LIVE = ("queued", "ringing", "in-progress")
"""The statuses of live calls, in the order of a call's life."""

_MAX_SEEN = 20_000
"""So many calls are remembered at most: a callback that comes after the end of its call is never cleared away."""

_BUSY = (TerminationReason.BUSY, TerminationReason.DO_NOT_DISTURB)


@asynccontextmanager
async def connect(
    config: LamlConfig, host: Host, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[ProviderSession]:
    """Open a session, once the space has accepted the credentials. `transport` replaces the network, for tests.

    Raises `ConfigError` where webhooks would come that cannot be checked, `AuthenticationFailed` for wrong credentials,
    `Unreachable` where the space does not answer, and another `ProviderError` where it answers something else.
    """
    if host.url("status") is not None and config.signing_key is None:
        raise ConfigError(
            "signing_key is missing: the bridge has a public URL, and without the project's Signing Key (PSK_…) nobody "
            "could tell the carrier's webhooks from forged ones"
        )
    credentials = (config.account, config.token.get_secret_value())
    async with open_client(config.api_url, auth=credentials, timeout=config.timeout, transport=transport) as client:
        session = LamlSession(client, config, host)
        await session.check()
        yield session


class LamlSession(ProviderSession):
    """Translates between the host and the Compatibility API."""

    tells_done = frozenset({Say, Play, SendDigits, Transfer, Redirect})

    def __init__(self, client: httpx.AsyncClient, config: LamlConfig, host: Host) -> None:
        self._config = config
        self._host = host
        self._api = Api(client, config, host)
        self._told = host.url("status") is not None
        self._offered = frozenset({HOLD}) if config.hold_by_conference else None
        self._seen: dict[str, CallState] = {}
        self._scripts = Scripts(config, host.url)
        self._ringing = Ringing(host, seconds=config.decide_within, default=(reject(config.undecided),))
        self._webhooks = Webhooks(
            config=config,
            host=host,
            api=self._api,
            scripts=self._scripts,
            ringing=self._ringing,
            report=self._report,
        )
        make = config.dialect.native
        self.native = make(self._api, host, self._scripts) if make is not None else None
        self.max_staleness = None if self._told else config.poll_interval

    async def check(self) -> None:
        """Ask for one call, so that wrong credentials or a wrong address show at once."""
        what = f"connecting to {self._config.api_url} as {self._config.account}"
        try:
            await self._api.read(CallPage, encode.list_calls(page_size=1), what)
        except (NotSent, AnswerLost) as error:
            raise Unreachable(
                f"the carrier cannot be reached: {error}. Check the address of the space.",
                provider=self._config.dialect.provider,
                code=error.code,
                status=error.status,
            ) from error

    async def execute(self, command: Command) -> None:
        try:
            await self._execute(command)
        except ProviderError as error:
            # What is pure does not know whose words it speaks.
            error.provider = error.provider or self._api.provider
            raise

    async def _execute(self, command: Command) -> None:
        match command:
            case Dial():
                await self._dial(command)
            case Answer() | Reject():
                self._decide(command)
            case Redirect():
                self._ringing.decide(_ref(command), *script(command, self._config, self._host.url))
            case HangUp():
                await self._hang_up(command)
            case StartMedia():
                await self._start(command)
            case StopMedia():
                await self._stop(command)
            case Say() | Play() | SendDigits() | Transfer():
                await self._run(command, *script(command, self._config, self._host.url))
            case Hold():
                await self._run(command, *script(command, self._config, self._host.url))
            case Resume():
                await self._run(command)
            case StartRecording():
                await self._record(command, encode.start_recording(command, self._host.url), f"recording {command.ref}")
            case PauseRecording() | ResumeRecording() | StopRecording():
                await self._record(command, encode.recording_action(command), f"{command.name} {command.slot}")
            case _:
                raise Unsupported(f"{self._config.dialect.title}: {command.name} is not supported; nothing was sent")

    async def read(self, ref: str) -> CallReport | Gone:
        as_of = self._host.stamp()
        what = f"reading call {ref}"
        response = await self._api.send(encode.read(ref))
        error = decode_error(response.content)
        if response.status_code in GONE and not error.empty:
            self._forget(ref)
            return Gone(as_of, said(response, error))
        call = self._api.readable(CallResource, response, what)
        if call.sid != ref:
            raise ProviderError(
                f"{what}: the carrier answered with another call", provider=self._config.dialect.provider
            )
        report = decode_call(call, source=Source.READ, as_of=as_of)
        self._remember(report)
        return report if self._offered is None else replace(report, offered=self._offered)

    async def list_calls(self) -> CallList:
        """Ask for the live calls, child legs left out.

        The statuses are asked for in the order of a call's life: it only moves forward, so none slips through.
        """
        began = self._host.stamp()
        found: dict[str, CallReport] = {}
        complete = True
        for status in _LIVE:
            complete = await self._list(status, found) and complete
        return CallList(tuple(found.values()), began, complete)

    async def read_recording(self, call: str, slot: str) -> RecordingReport | Gone:
        as_of = self._host.stamp()
        response = await self._api.send(encode.read_recording(slot))
        error = decode_error(response.content)
        if response.status_code in GONE and not error.empty:
            return Gone(as_of, said(response, error))
        recording = self._api.readable(RecordingResource, response, f"reading recording {slot}")
        return decode_recording(recording, call=call, source=Source.READ, as_of=as_of)

    async def fetch_recording(self, slot: str) -> AsyncGenerator[bytes]:
        async for piece in self._api.fetch(encode.recording_file(slot), f"fetching recording {slot}"):
            yield piece

    async def delete_recording(self, slot: str) -> None:
        response = await self._api.send(encode.delete_recording(slot))
        if not response.is_success and response.status_code not in GONE:
            raise self._api.refusal(response, f"deleting recording {slot}", late=False)

    async def receive(self, request: WebRequest) -> WebResponse:
        return await self._webhooks.receive(request)

    def media(self, opening: WebRequest) -> MediaWire:
        return LamlMedia()

    async def _dial(self, command: Dial) -> None:
        request = encode.dial(command, self._config, self._host.url)
        call, as_of = await self._api.command(CallResource, request, f"dialling {command.to}")
        self._report(decode_call(call, source=Source.ANSWER, as_of=as_of, command_id=command.id))

    def _decide(self, command: Answer | Reject) -> None:
        """Let the carrier have the document that it waits for, now or when it comes again."""
        if command.native or (isinstance(command, Answer) and command.sdp is not None):
            raise Refused(
                f"{command.name} takes neither native parameters nor SDP", provider=self._config.dialect.provider
            )
        if isinstance(command, Reject):
            verbs: tuple[Verb, ...] = (reject(RejectReason.BUSY if command.reason in _BUSY else RejectReason.REJECTED),)
        else:
            verbs = self._scripts.answer(command.call)
        self._ringing.decide(_ref(command), *verbs)

    async def _hang_up(self, command: HangUp) -> None:
        ref = _ref(command)
        first, other = encode.end_words(self._seen.get(ref))
        what = f"hanging up call {ref}"
        try:
            call, as_of = await self._api.command_to(CallResource, encode.hang_up(command, status=first), what, of=ref)
        except (TooLate, Refused) as no:
            # A refusal without a code cannot be told from one for the state, and a call must not go on for that.
            unclear = no.status in (400, 422) and no.code is None
            if no.status in GONE or not (isinstance(no, TooLate) or unclear):
                raise
            call, as_of = await self._api.command_to(CallResource, encode.hang_up(command, status=other), what, of=ref)
        self._report(decode_call(call, source=Source.ANSWER, as_of=as_of))

    async def _start(self, command: StartMedia) -> None:
        if command.endpoint is not None and command.endpoint.direction is MediaDirection.BOTH:
            await self._run(command, encode.connection(command, command.endpoint, self._config, self._host.url))
            return
        request = encode.start(command, self._config, self._host.url)
        ref = _ref(command)
        stream, as_of = await self._api.command(StreamResource, request, f"starting a stream of call {ref}", late=True)
        self._report(decode_stream(stream, ref=ref, as_of=as_of, observable=self._told, command_id=command.id))

    async def _run(self, command: Command, *verbs: Verb) -> None:
        """Let the call fetch another document at once, in place of the one that runs; what it does tells the rest."""
        ref = _ref(command)
        request = encode.fetch(command, self._host.url, command=command.id)
        self._scripts.remember(command.id, *verbs)
        try:
            call, as_of = await self._api.command_to(CallResource, request, f"{command.name} in call {ref}", of=ref)
        except AnswerLost:
            raise
        except ProviderError:
            self._scripts.forget(command.id)
            raise
        self._report(decode_call(call, source=Source.ANSWER, as_of=as_of))

    async def _stop(self, command: StopMedia) -> None:
        """Stop every stream, whatever becomes of the others; then raise the gravest of what went wrong."""
        # One both ways ends with the document that made it.
        copies = [(target, encode.stop(command, target)) for target in command.streams if not _is_two_way(target)]
        troubles: list[ProviderError] = []
        if len(copies) < len(command.streams):
            try:
                await self._run(command)
            except ProviderError as trouble:
                troubles.append(trouble)
        for target, request in copies:
            try:
                await self._stop_copy(command, target, request)
            except ProviderError as trouble:
                troubles.append(trouble)
        if troubles:
            raise next((trouble for trouble in troubles if not isinstance(trouble, TooLate)), troubles[0])

    async def _stop_copy(self, command: StopMedia, target: StreamTarget, request: encode.Request) -> None:
        slot, ref = target.id.slot, _ref(command)
        asked = self._host.stamp()
        what = f"stopping stream {slot} of call {ref}"
        try:
            stream, as_of = await self._api.command_to(StreamResource, request, what, of=slot)
        except TooLate as trouble:
            if trouble.code == NO_SUCH_RESOURCE:
                # A SID names one stream and is never used again: where it is unknown, nothing runs any more.
                self._report(ended_stream(slot, ref=ref, as_of=asked))
            raise
        self._report(decode_stream(stream, ref=ref, as_of=as_of, observable=self._told))

    async def _record(self, command: Command, request: encode.Request, what: str) -> None:
        recording, as_of = await self._api.command(RecordingResource, request, what, late=True)
        started = command.id if isinstance(command, StartRecording) else None
        self._report(
            decode_recording(recording, call=command.ref, source=Source.ANSWER, as_of=as_of, command_id=started)
        )

    async def _list(self, status: str, found: dict[str, CallReport]) -> bool:
        """Add the calls in that status, and return whether all pages were read."""
        pages = self._api.pages(CallPage, encode.list_calls(status=status), f"listing {status} calls")
        async for page, as_of in pages:
            for call in page.calls:
                if call.parent_call_sid is not None:
                    continue
                report = found[call.sid] = decode_call(call, source=Source.READ, as_of=as_of)
                if call.sid in self._seen:
                    # Only what was seen before: a list holds the calls of everybody in the project.
                    self._remember(report)
        return pages.complete

    def _report(self, fact: Fact) -> None:
        if isinstance(fact, CallReport):
            self._remember(fact)
            if self._offered is not None:
                fact = replace(fact, offered=self._offered)
        self._host.report(fact)

    def _remember(self, report: CallReport) -> None:
        """Keep how far the call was last seen, because its two words for hanging up depend on it."""
        if report.ref is None or report.state in (None, CallState.UNKNOWN):
            return
        seen = self._seen.pop(report.ref, CallState.UNKNOWN)
        if report.state is CallState.ENDED:
            self._ringing.forget(report.ref)
            return
        self._seen[report.ref] = report.state if report.state.rank > seen.rank else seen
        if len(self._seen) > _MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    def _forget(self, ref: str) -> None:
        self._seen.pop(ref, None)
        self._ringing.forget(ref)


def _is_two_way(target: StreamTarget) -> bool:
    return target.direction is MediaDirection.BOTH


def _ref(command: Command) -> str:
    if command.ref is None:
        raise Refused(f"{command.name} of {command.call}: the carrier has not named the call yet")
    return command.ref
