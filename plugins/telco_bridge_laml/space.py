"""What a project can do beyond the neutral words: its records, its recordings and its conferences."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol, TypeVar

from pydantic import SecretStr

from telco_bridge.provider import ConfigError, Host, ProviderError, Refused

from .api import GONE, Api, Pages
from .config import stream_url_problem
from .documents import conference
from .encode import Request
from .entries import (
    CallEntry,
    Conference,
    ConferenceStatus,
    Participant,
    RecordingEntry,
    StreamEntry,
    call_entry,
    conference_entry,
    participant_entry,
    recording_entry,
    stream_entry,
)
from .scripts import Scripts
from .wire import (
    CallPage,
    CallResource,
    ConferencePage,
    ConferenceResource,
    Page,
    ParticipantPage,
    ParticipantResource,
    RecordingPage,
    RecordingResource,
    StreamResource,
)

__all__ = [
    "CallEntry",
    "Conference",
    "ConferenceStatus",
    "Listing",
    "Participant",
    "Project",
    "RecordingEntry",
    "StreamEntry",
]

E = TypeVar("E")
L = TypeVar("L", bound=Page)
_JOINED_WITHIN = 10.0
_PAGE_SIZE = ("PageSize", "1000")


class NamedCall(Protocol):
    """A call that the carrier has named, such as a `telco_bridge.Call`."""

    @property
    def id(self) -> str: ...

    @property
    def native_id(self) -> str | None: ...


class Listing(AsyncIterator[E]):
    """Entries of the project, fetched page by page as they are iterated over."""

    def __init__(self, pages: Pages[L], entries: Callable[[L], Iterable[E]]) -> None:
        self._more = _flattened(pages, entries)
        self._ready: deque[E] = deque()

    async def __anext__(self) -> E:
        while not self._ready:
            self._ready.extend(await self._more())
        return self._ready.popleft()


class Project:
    """A project of a LaML carrier, beyond the calls of this bridge.

    Every method raises `ProviderError` where the carrier says no or cannot be reached.
    """

    def __init__(self, api: Api, host: Host, scripts: Scripts) -> None:
        self._api = api
        self._host = host
        self._scripts = scripts

    # Records ------------------------------------------------------------------------------------------------------

    def calls(
        self,
        *,
        status: str | None = None,
        to: str | None = None,
        from_: str | None = None,
        parent: str | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
    ) -> Listing[CallEntry]:
        """Iterate over the project's calls, newest first, ended ones included."""
        query = [("Status", status), ("To", to), ("From", from_), ("ParentCallSid", parent)]
        # The operator is a part of the name, which must be encoded with it.
        query += [("StartTime>", _date(started_after)), ("StartTime<", _date(started_before))]
        return self._listing(CallPage, ("Calls",), query, lambda page: map(call_entry, page.calls))

    async def delete_call(self, sid: str) -> None:
        """Delete the record of a call that has ended. It is no hang-up: a live call is refused."""
        await self._delete("Calls", sid)

    def recordings(
        self,
        *,
        call: str | None = None,
        conference: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Listing[RecordingEntry]:
        """Iterate over the project's recordings, newest first."""
        query = [("CallSid", call), ("ConferenceSid", conference)]
        query += [("DateCreated>", _date(created_after)), ("DateCreated<", _date(created_before))]
        return self._listing(RecordingPage, ("Recordings",), query, lambda page: map(recording_entry, page.recordings))

    async def delete_recording(self, sid: str) -> None:
        """Delete a recording and its file. What is gone already is no error."""
        await self._delete("Recordings", sid)

    # Conferences --------------------------------------------------------------------------------------------------

    async def join(
        self,
        call: NamedCall,
        name: str,
        *,
        muted: bool = False,
        start_on_enter: bool = True,
        end_on_exit: bool = False,
        beep: bool = False,
        wait_url: str | None = None,
    ) -> Participant:
        """Let a call of this bridge take part in the conference of that name, in place of what it does now.

        Return when it does. When it leaves the conference it is the bridge's again. Raises `ConfigError` without a
        public URL, and `ProviderError` where the carrier does not show it there within ten seconds.
        """
        attributes = {
            "muted": _said(muted),
            "startConferenceOnEnter": _said(start_on_enter),
            "endConferenceOnExit": _said(end_on_exit),
            "beep": _said(beep),
        }
        if wait_url is not None:
            attributes["waitUrl"] = wait_url
        back = self._document(call, f"joining conference {name}")
        token = os.urandom(16).hex()
        self._scripts.remember(token, conference(name, action=back, **attributes))
        await self._fetch(call, f"joining conference {name}", command=token)
        clock, sid = self._host.clock, call.native_id
        deadline, pause = clock.now() + _JOINED_WITHIN, 0.1
        while clock.now() < deadline:
            async for known in self.conferences(name=name):
                if known.status is not ConferenceStatus.COMPLETED:
                    async for participant in self.participants(known.sid):
                        if participant.call_sid == sid:
                            return participant
            await clock.sleep_until(clock.now() + pause)
            pause = min(2 * pause, 1.0)
        raise ProviderError(f"call {sid} was told to join conference {name}, and is not shown there")

    async def leave(self, call: NamedCall) -> None:
        """Let a call leave its conference and be kept open. Raises as `join`."""
        await self._fetch(call, "leaving a conference")

    def conferences(self, *, name: str | None = None, status: ConferenceStatus | None = None) -> Listing[Conference]:
        """Iterate over the project's conferences, newest first."""
        query = [("FriendlyName", name), ("Status", status.value if status is not None else None)]
        return self._listing(
            ConferencePage, ("Conferences",), query, lambda page: map(conference_entry, page.conferences)
        )

    async def end_conference(self, sid: str) -> Conference:
        """End a conference: every participant goes on with what its document says next."""
        request = Request(method="POST", path=("Conferences", sid), form=(("Status", "completed"),))
        ended, _ = await self._api.command_to(ConferenceResource, request, f"ending conference {sid}", of=sid)
        return conference_entry(ended)

    async def announce(self, sid: str, url: str) -> None:
        """Let everybody in a conference hear the document at that address."""
        request = Request(method="POST", path=("Conferences", sid), form=(("AnnounceUrl", url),))
        await self._api.command_to(ConferenceResource, request, f"announcing in conference {sid}", of=sid)

    def participants(self, conference: str) -> Listing[Participant]:
        """Iterate over those who take part in a conference now."""
        return self._listing(
            ParticipantPage,
            ("Conferences", conference, "Participants"),
            (),
            lambda page: map(participant_entry, page.participants),
        )

    async def mute(self, conference: str, call: str, *, muted: bool = True) -> Participant:
        """Let the others not hear a participant, or hear it again."""
        return await self._change(conference, call, ("Muted", _said(muted)))

    async def hold(self, conference: str, call: str, *, hold: bool = True, music_url: str | None = None) -> Participant:
        """Let a participant wait apart from the others, with music, or come back."""
        music = [("HoldUrl", music_url)] if music_url is not None else []
        return await self._change(conference, call, ("Hold", _said(hold)), *music)

    async def coach(self, conference: str, call: str, *, whom: str | None) -> Participant:
        """Let a participant be heard by one other alone; with None by all."""
        words = [("Coaching", _said(whom is not None)), *([("CallSidToCoach", whom)] if whom is not None else [])]
        return await self._change(conference, call, *words)

    async def start_stream(
        self,
        conference: str,
        url: str,
        *,
        name: str | None = None,
        bearer: SecretStr | None = None,
        codec: str | None = None,
        realtime: bool = False,
        callback: str | None = None,
    ) -> StreamEntry:
        """Copy what is said in a conference to a WebSocket. `codec` is one of the carrier's words, such as L16@16000h.

        That it flows is not said: the carrier answers before it has connected. Raises `Refused` for an address that it
        does not take.
        """
        problem = stream_url_problem(url)
        if problem is not None:
            raise Refused(f"cannot copy a conference there: the address {problem}")
        words = [("Name", name), ("StreamCodec", codec), ("StatusCallback", callback)]
        words.append(("AuthorizationBearerToken", bearer.get_secret_value() if bearer is not None else None))
        form = (("Url", url), ("StreamRealTime", _said(realtime)), *_given(words))
        request = Request(method="POST", path=("Conferences", conference, "Streams"), form=form)
        started, _ = await self._api.command(StreamResource, request, f"copying conference {conference}", late=True)
        return stream_entry(started)

    async def stop_stream(self, conference: str, sid: str) -> StreamEntry:
        """Stop the copy of a conference."""
        path = ("Conferences", conference, "Streams", sid)
        request = Request(method="POST", path=path, form=(("Status", "stopped"),))
        stopped, _ = await self._api.command_to(StreamResource, request, f"stopping stream {sid}", of=sid)
        return stream_entry(stopped)

    async def record(self, conference: str, *, callback: str | None = None) -> RecordingEntry:
        """Let the carrier record a conference until it ends, or the recording is stopped."""
        form = (("Trim", "do-not-trim"), *_given([("RecordingStatusCallback", callback)]))
        request = Request(method="POST", path=("Conferences", conference, "Recordings"), form=form)
        what = f"recording conference {conference}"
        started, _ = await self._api.command(RecordingResource, request, what, late=True)
        return recording_entry(started)

    async def stop_recording(self, conference: str, sid: str) -> RecordingEntry:
        """Stop the recording of a conference."""
        path = ("Conferences", conference, "Recordings", sid)
        request = Request(method="POST", path=path, form=(("Status", "stopped"),))
        stopped, _ = await self._api.command_to(RecordingResource, request, f"stopping recording {sid}", of=sid)
        return recording_entry(stopped)

    async def remove(self, conference: str, call: str) -> None:
        """Take a participant out of a conference; its call goes on with what its document says next, if anything."""
        await self._delete("Conferences", conference, "Participants", call)

    def _document(self, call: NamedCall, what: str, **tokens: str) -> str:
        document = self._host.url("voice", call=call.id, **tokens)
        if document is None:
            raise ConfigError(f"{what}: the carrier must fetch a document from the bridge for it: set web.public_url")
        return document

    async def _fetch(self, call: NamedCall, what: str, **tokens: str) -> None:
        """Let a call go on with another document."""
        sid = call.native_id
        if sid is None:
            raise Refused(f"{what}: the carrier has not named it yet, call {call.id}")
        form = (("Url", self._document(call, what, **tokens)), ("Method", "POST"))
        await self._api.command_to(CallResource, Request(method="POST", path=("Calls", sid), form=form), what, of=sid)

    async def _change(self, conference: str, call: str, *form: tuple[str, str]) -> Participant:
        path = ("Conferences", conference, "Participants", call)
        what = f"changing participant {call} of conference {conference}"
        changed, _ = await self._api.command(
            ParticipantResource, Request(method="POST", path=path, form=form), what, late=True
        )
        return participant_entry(changed)

    async def _delete(self, *path: str) -> None:
        response = await self._api.send(Request(method="DELETE", path=path))
        if not response.is_success and response.status_code not in GONE:
            raise self._api.refusal(response, f"deleting {'/'.join(path)}", late=False)

    def _listing(
        self,
        model: type[L],
        path: tuple[str, ...],
        query: Iterable[tuple[str, str | None]],
        entries: Callable[[L], Iterable[E]],
    ) -> Listing[E]:
        request = Request(method="GET", path=path, query=(*_given(query), _PAGE_SIZE))
        return Listing(self._api.pages(model, request, f"listing {path[-1].lower()}"), entries)


def _flattened(pages: Pages[L], entries: Callable[[L], Iterable[E]]) -> Callable[[], Awaitable[Iterable[E]]]:
    async def more() -> Iterable[E]:
        page, _ = await anext(pages)
        return entries(page)

    return more


def _given(query: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in query if value is not None)


def _said(value: bool) -> str:  # noqa: FBT001 - the value is the message
    return "true" if value else "false"


def _date(instant: datetime | None) -> str | None:
    """SignalWire documents RFC 2822 for calls and recordings."""
    return format_datetime(instant.astimezone(UTC)) if instant is not None else None
