"""A Skype for Business server that answers UCWA 2.0 in front of a simulated network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from telco_bridge.sandbox.emulator import ASGIApp, Emulator, Fault
from telco_bridge.sandbox.exchange import Exchange

from .application import Application
from .discovery import Discovery
from .errors import UcwaError
from .front import Front
from .meeting_invitation import MeetingInvitation
from .pool import Pool
from .settings import Settings, Stop
from .tickets import Tickets

__all__ = ["UcwaEmulator"]


class UcwaEmulator(Emulator):
    """UCWA 2.0 in JSON and XML for one user, served by `telco_bridge.serving.Server`.

    Times are in seconds of the network's clock. The user is `username` with `password`, `name` and `phone_number`. The
    same `seed` and the same requests make the same addresses, ids and answers. `absolute_links` is the share of links
    that carry the host; `embedded=False` makes every event a bare link; `bom` puts a byte order mark before each JSON;
    `withheld` names links that are never offered; `pool_host` puts the applications on another host name than
    discovery, with tokens of its own; `grants` are the ways to a token that it names, of which it gives tokens for all
    but `passive`; the Windows domain is the first word of the SIP domain. Tokens live for `token_lifetime`, those of
    guests for `guest_token_lifetime`. `token_refusal` is 401, or the 403 with a challenge with which real servers
    refuse the token of another host; `takes_voip=False` lets the user take phone audio alone, as older servers do;
    `allowed_origins` are the web pages that may send requests, and `batch_limit` is how many requests all batches may
    hold at once. `ends_with_last_modality=False` keeps a conversation that has lost its media.

    A call rings for `ring_timeout`, and `own_phone_answers_after` is when the user picks up the own phone that phone
    audio rings first (None: never). The other party thinks for `add_media_takes` about what it is offered during a
    call; phone audio is `Disconnecting` for `hang_up_takes`; a call of two becomes a conference in `escalation_takes`.
    `provisional_answers` is how many endpoints let media flow early, and `answered_by` names for a called address, such
    as `tel:+15550100`, who answers in its place. `conference_uri` is a meeting that guests join with `conference_key`,
    and wait in its lobby unless `guests_wait` is false. An application ends when nobody has polled for
    `inactive_after`, and when its user is available, in no call, and has not been reported active for
    `activity_within`; after `resume_after` without a poll it goes on without its calls. `applications_allowed` is how
    many a user may have.

    Old things are forgotten in the end: of an application, all but the newest thousand invitations that are decided;
    of meetings that nobody is in, all but a hundred; of addresses where nothing is any more, all but 20 000.

    Faults are ordered by the rel of the link that is used (`"POST startPhoneAudio"`, `"GET events"`) and for events by
    `"event phoneAudio updated"`. The `cancel` of an invitation has the address of the modality's stop, and its name.
    Options: `status`, `code`, `subcode`, `executed` for SERVER_ERROR; `retry_after`, `executed` for RATE_LIMIT;
    `oauth` for a SERVER_ERROR of the token address, such as `"server_error"`;
    `status`, `executed` for HTML_ANSWER; `host`, `rel` for FOREIGN_LINK; `state` for UNKNOWN_STATE; `seconds` for
    DELAY_EVENT and MERGE_EVENTS; `content_type` for WRONG_CONTENT_TYPE; `subcode` for LOSE_APPLICATION; `seconds`
    for REPLACE_READER, which another program does that long after the poll was parked; `status`, `code` for
    OVERFLOW_EVENTS.
    """

    known_faults = frozenset(
        {
            Fault.LOSE_EVENT,
            Fault.DOUBLE_EVENT,
            Fault.DELAY_EVENT,
            Fault.MERGE_EVENTS,
            Fault.EVENT_BEFORE_ANSWER,
            Fault.UNKNOWN_STATE,
            Fault.SERVER_ERROR,
            Fault.RATE_LIMIT,
            Fault.DROP_REQUEST,
            Fault.DROP_ANSWER,
            Fault.HTML_ANSWER,
            Fault.MALFORMED_JSON,
            Fault.TRUNCATED_BODY,
            Fault.WRONG_CONTENT_TYPE,
            Fault.FOREIGN_LINK,
            Fault.EXPIRE_TOKEN,
            Fault.LOSE_APPLICATION,
            Fault.REPLACE_READER,
            Fault.RESYNC_EVENTS,
            Fault.RESUME_EVENTS,
            Fault.OVERFLOW_EVENTS,
        }
    )

    def __init__(
        self,
        exchange: Exchange,
        *,
        username: str = "ada@sandbox.test",
        password: str = "analytical-engine",  # noqa: S107 - the user of a simulated server
        name: str = "Ada Lovelace",
        phone_number: str = "+15550000001",
        seed: int = 0,
        absolute_links: float = 0.2,
        embedded: bool = True,
        bom: bool = False,
        pool_host: str | None = None,
        withheld: Iterable[str] = (),
        ends_with_last_modality: bool = True,
        grants: Iterable[str] = ("urn:microsoft.rtc:windows", "urn:microsoft.rtc:anonmeeting", "password"),
        token_lifetime: float = 28_800.0,
        guest_token_lifetime: float = 3_600.0,
        token_refusal: int = 401,
        takes_voip: bool = True,
        allowed_origins: Iterable[str] = (),
        batch_limit: int = 100,
        conference_uri: str = "sip:ada@sandbox.test;gruu;opaque=app:conf:focus:id:GH4T8KJ2",
        conference_key: str = "GH4T8KJ2",
        guests_wait: bool = True,
        escalation_takes: float = 0.3,
        ring_timeout: float = 60.0,
        own_phone_answers_after: float | None = 0.5,
        hang_up_takes: float = 0.2,
        add_media_takes: float = 0.3,
        provisional_answers: int = 0,
        answered_by: Mapping[str, str] | None = None,
        inactive_after: float = 900.0,
        activity_within: float = 900.0,
        applications_allowed: int | None = None,
        resume_after: float | None = None,
    ) -> None:
        super().__init__(exchange)
        self._settings = Settings(
            username=username,
            password=password,
            name=name,
            phone_number=phone_number,
            embedded=embedded,
            bom=bom,
            pool_host=pool_host,
            withheld=frozenset(withheld),
            ends_with_last_modality=ends_with_last_modality,
            grants=tuple(grants),
            token_lifetime=token_lifetime,
            guest_token_lifetime=guest_token_lifetime,
            token_refusal=token_refusal,
            takes_voip=takes_voip,
            allowed_origins=frozenset(allowed_origins),
            batch_limit=batch_limit,
            conference_uri=conference_uri,
            conference_key=conference_key,
            guests_wait=guests_wait,
            escalation_takes=escalation_takes,
            ring_timeout=ring_timeout,
            own_phone_answers_after=own_phone_answers_after,
            hang_up_takes=hang_up_takes,
            add_media_takes=add_media_takes,
            provisional_answers=provisional_answers,
            answered_by=dict(answered_by or {}),
            inactive_after=inactive_after,
            activity_within=activity_within,
            applications_allowed=applications_allowed,
            resume_after=resume_after,
        )
        self._pool = Pool(self, self._settings, seed=seed, absolute_links=absolute_links)
        tickets = Tickets(self._pool)
        self._discovery = Discovery(self._pool, tickets)
        self._front = Front(self._pool, tickets)

    @property
    def app(self) -> ASGIApp:
        return cast("ASGIApp", self._front)

    @property
    def root_url(self) -> str:
        """Where discovery begins."""
        return self._discovery.root.href

    @property
    def stops(self) -> list[Stop]:
        """The requests to stop audio or video that were accepted, with their reasons: the newest 10 000 in order."""
        return list(self._pool.stops)

    @property
    def diagnoses(self) -> list[tuple[str | None, str | None]]:
        """What clients reported of their media, error codes with their subcodes: the newest 10 000 in order."""
        return list(self._pool.diagnoses)

    @property
    def applications(self) -> list[Application]:
        """The applications that run, oldest first."""
        return self._discovery.running

    def invite_to_meeting(self, inviter: str, *, uri: str | None = None, subject: str = "") -> Callable[[], None]:
        """Invite the user into a meeting, soon: the one of that URI, else a new one that `inviter` holds.

        It reaches the clients that are available then. Call what is returned to take the invitation back.
        """
        conferences, directory = self._discovery.conferences, self._pool.directory
        place = uri or f"{inviter};gruu;opaque=app:conf:focus:id:{directory.word(8).upper()}"
        sent: list[MeetingInvitation] = []

        def send() -> None:
            is_new = place not in conferences
            conference = conferences.hold(uri=place, subject=subject)
            if is_new:
                conference.organizer = inviter
            sent.append(MeetingInvitation(self._pool, conference, inviter, subject=subject))
            sent[0].send(self._discovery.running)

        def withdraw() -> None:
            for invitation in sent:
                invitation.withdraw()

        self.post(send)
        return lambda: self.post(withdraw)

    def move_pool(self, host: str) -> None:
        """Move the user to a pool on that host name: applications end, and the one before says that it cannot redirect.

        Runs in the emulator's loop, soon.
        """
        self.post(lambda: self._move(host))

    def _move(self, host: str) -> None:
        for application in list(self._discovery.running):
            application.close(UcwaError(410, "Gone", "CannotRedirect", "The user has been moved to another pool."))
        self._pool.move(host)

    def expire_links(self) -> None:
        """Give the applications another address, soon: whoever remembers the one before is refused there."""
        self.post(self._discovery.expire)

    def profile(self) -> dict[str, object]:
        settings = self._settings
        return {
            "provider": "ucwa",
            "user_url": self._discovery.user.href,
            "username": settings.username,
            "password": settings.password,
            "phone_number": settings.phone_number,
            **({"allowed_hosts": [self._pool.base()]} if self._pool.host is not None else {}),
        }

    async def stopped(self) -> None:
        """The server is about to stop: calls end, and whoever polls is told that the service is not available."""
        for application in list(self._discovery.running):
            application.close(UcwaError(503, "ServiceUnavailable", None, "The server is shutting down."))
        await super().stopped()
