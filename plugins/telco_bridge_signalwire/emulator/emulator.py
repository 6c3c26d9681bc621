"""The emulator as a whole: built in front of an exchange, served by a loopback server."""

from __future__ import annotations

import uuid
from dataclasses import replace

from telco_bridge.sandbox.emulator import ASGIApp, Emulator, Fault
from telco_bridge.sandbox.exchange import Exchange, Leg, Side

from .api import CallOperations, StreamOperations
from .app import PREFIXES, build_app
from .applications import application_routes
from .bins import Bins, bin_routes
from .calls import formatted
from .conference_routes import conference_routes
from .conferencing import Conferences
from .dialling import Dialling
from .directory import Application, PhoneNumber
from .joining import Joining
from .numbers import number_routes
from .queues import queue_routes
from .record import RecordVerb, record_dial
from .recorder import Recorder
from .recording_api import recording_routes
from .referral import refer
from .space import Space
from .streams import Streams
from .switchboard import Switchboard
from .switches import Switches

__all__ = ["SignalWireEmulator"]


class SignalWireEmulator(Emulator):
    """One SignalWire project, with credentials of its own, in front of a simulated network.

    It owns `caller_id`, which `profile()` recommends. `allow_loopback_ws` admits streams to `ws://` on loopback, which
    SignalWire itself would refuse; `stream_url` is an address for such streams, passed on in `profile()`.
    """

    known_faults = frozenset(
        {
            Fault.LOSE_EVENT,
            Fault.DOUBLE_EVENT,
            Fault.DELAY_EVENT,
            Fault.REORDER_EVENTS,
            Fault.EVENT_BEFORE_ANSWER,
            Fault.UNSIGNED_EVENT,
            Fault.UNKNOWN_STATE,
            Fault.STALE_ANSWER,
            Fault.SERVER_ERROR,
            Fault.RATE_LIMIT,
            Fault.DROP_REQUEST,
            Fault.DROP_ANSWER,
            Fault.HTML_ANSWER,
            Fault.MALFORMED_JSON,
            Fault.TRUNCATED_BODY,
            Fault.WRONG_CONTENT_TYPE,
            Fault.REFUSE_STREAM,
            Fault.DROP_STREAM,
            Fault.LOSE_MEDIA,
            Fault.REORDER_MEDIA,
            Fault.DELAY_MEDIA,
        }
    )

    def __init__(
        self,
        exchange: Exchange,
        *,
        switches: Switches | None = None,
        allow_loopback_ws: bool = False,
        caller_id: str = "+15550000001",
        stream_url: str | None = None,
    ) -> None:
        super().__init__(exchange)
        self.caller_id = caller_id
        self.stream_url = stream_url
        self._space = Space(
            exchange=exchange,
            faults=self.faults,
            wire=self.wire,
            post=self.post,
            switches=switches if switches is not None else Switches(),
            allow_loopback_ws=allow_loopback_ws,
        )
        streams = Streams(self._space)
        self._board = Switchboard(self._space, streams)
        recorder = Recorder(self._space)
        self._board.followers.append(recorder)
        calls = CallOperations(self._space, self._board, recorder)
        conferences = Conferences(self._space, streams)
        conferences.starters.append(recorder.started)
        conferences.followers.append(recorder.ended)
        joining = Joining(self._space, conferences)
        self._board.verbs |= {
            "Dial": Dialling(self._space, self._board, joining.join, record_dial(recorder)).dial,
            "Record": RecordVerb(recorder).record,
            "Refer": refer,
        }
        self._bins = Bins(self._space)
        routes = [
            *conference_routes(self._space, conferences, joining, streams),
            *number_routes(self._space, self._admit),
            *application_routes(self._space),
            *bin_routes(self._space, self._bins),
            *queue_routes(self._space),
            *recording_routes(self._space, recorder, calls, conferences),
        ]
        self._app = build_app(self._space, calls, StreamOperations(self._space, calls, streams), routes)
        self.own(caller_id)

    @property
    def app(self) -> ASGIApp:
        """The ASGI application that speaks SignalWire's Compatibility API."""
        return self._app

    @property
    def project(self) -> str:
        """The project ID, which is the `AccountSid` of every path."""
        return self._space.project

    @property
    def token(self) -> str:
        """The API token."""
        return self._space.token

    @property
    def signing_key(self) -> str:
        """The key that signs callbacks and document requests."""
        return self._space.signing_key

    def profile(self) -> dict[str, object]:
        """The settings with which the provider's plugin finds this emulator. Valid once it is served."""
        settings: dict[str, object] = {
            "provider": "signalwire",
            "project": self.project,
            "token": self.token,
            "signing_key": self.signing_key,
            "base_url": f"{self.url}{PREFIXES[0]}",
            "caller_id": self.caller_id,
            "document_url": self.add_bin('<Response><Pause length="14400"/></Response>'),
        }
        if self.stream_url is not None:
            settings["stream_url"] = self.stream_url
        return settings

    def own(
        self,
        number: str,
        *,
        voice_url: str | None = None,
        voice_method: str = "POST",
        fallback_url: str | None = None,
        status_callback: str | None = None,
        status_callback_method: str = "POST",
    ) -> str:
        """Give the project a phone number, or set anew what one of its numbers does; return the number's SID.

        A call to a number without a `voice_url` fails. Safe from any thread.
        """
        directory, now = self._space.directory, self._space.now()
        settings = _settings(voice_url, voice_method, fallback_url, status_callback, status_callback_method)
        known = directory.number(number)
        if known is None:
            known = PhoneNumber(
                number=directory.next_number(),
                phone_number=number,
                friendly_name=formatted(number),
                created=now,
                updated=now,
            )
        directory.keep_number(replace(known, updated=now, settings=settings))
        self._admit(number)
        return known.sid

    def add_application(
        self,
        *,
        voice_url: str,
        voice_method: str = "POST",
        fallback_url: str | None = None,
        status_callback: str | None = None,
        status_callback_method: str = "POST",
    ) -> str:
        """Give the project an application; return the SID that `ApplicationSid` takes. Safe from any thread."""
        directory, now = self._space.directory, self._space.now()
        application = Application(
            number=directory.next_number(),
            friendly_name="application",
            created=now,
            updated=now,
            settings=_settings(voice_url, voice_method, fallback_url, status_callback, status_callback_method),
        )
        directory.applications[application.sid] = application
        return application.sid

    def add_bin(self, document: str) -> str:
        """Let the space serve a document; return its address. Safe from any thread."""
        sid = str(uuid.uuid5(uuid.NAMESPACE_OID, document))
        return self._bins.url(self._bins.all.get(sid) or self._bins.add("document", document, sid=sid))

    async def started(self, url: str) -> None:
        """The application is being served at that URL, in the running loop."""
        await super().started(url)
        self._space.open(url)

    async def stopped(self) -> None:
        """End every task, close every stream; the network's calls are left as they are."""
        await super().stopped()
        await self._space.close()

    def _admit(self, number: str) -> None:
        self.exchange.register(number, self._incoming)

    def _incoming(self, leg: Leg) -> None:
        """A party calls a number of the project. Runs in the network's thread, under its lock."""
        if self._space.directory.number(leg.callee) is None:
            # It was the project's once.
            leg.later(0.0, lambda: leg.refuse(404, "Not Found", by=Side.NETWORK))
            return
        sid = str(uuid.uuid4())
        leg.watcher = self._board.watcher(sid)
        self._space.post(lambda: self._board.arrive(leg, sid))


def _settings(
    voice_url: str | None,
    voice_method: str,
    fallback_url: str | None,
    status_callback: str | None,
    status_callback_method: str,
) -> dict[str, str]:
    settings = {
        "voice_url": voice_url,
        "voice_method": voice_method,
        "voice_fallback_url": fallback_url,
        "status_callback": status_callback,
        "status_callback_method": status_callback_method,
    }
    return {name: value for name, value in settings.items() if value is not None}
