"""One application on the server: made, kept alive, made again where the server has lost it, and deleted."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import httpx

from telco_bridge.provider import AnswerLost, AuthenticationFailed, Gap, Host, NotSent, ProviderError

from .auth import SignedClient
from .body import Unreadable
from .channel import EventChannel
from .config import OLD_MODALITIES, AudioPreference, UcwaConfig
from .discovery import find_applications
from .links import Links
from .poll import ApplicationLost, Loss
from .problems import problem_in, refused
from .reads import Reads
from .resources import Resources
from .wire import Event, Resource, resource_in

__all__ = ["Application"]

_GOODBYE = 5.0
"""Seconds that signing out may take."""
_NEW_APPLICATIONS_PER_HOUR = 3
_STALE = frozenset({403, 404, 410, 502})
"""The refusals that a remembered address of a pool may be the reason for."""
_MOVING = 5.0
"""Seconds after which the new pool of a user who has been moved is looked for."""
_ACTIVITY = 180.0
"""UCWA documents that an available user must be reported active every four minutes."""
_ACTIVITY_AGAIN = 20.0
"""Seconds after which a report that failed is repeated, within the four minutes."""
_STARTING = (1.0, 2.0, 4.0)
"""Seconds between questions for `me`, which UCWA documents to be refused while the application is being started."""


class Application:
    """A signed-in application: its links, what is known of its resources, and its event channel.

    `resources`, `links` and `reads` are replaced where the server has lost the application and it is made again.
    """

    def __init__(self, client: SignedClient, config: UcwaConfig, host: Host) -> None:
        self._client = client
        self._config = config
        self._host = host
        self._applications = ""
        self._for_guests = False
        self._href = ""
        self._endpoint_id = config.endpoint_id
        self._doubted = False
        self._channel: EventChannel | None = None
        self._lost: ApplicationLost | None = None
        self._made_at: list[float] = []
        self._active_by = 0.0
        self.resources = Resources(config.entry)
        self.links = Links(client, host.clock, base=config.entry)
        self.reads = Reads(client, self.links, host.clock)
        self.observers: list[Callable[[Event], None]] = []
        """Told of every event, in order, once the resources have taken it."""
        self.recoveries: list[Callable[[], Awaitable[None]]] = []
        """Awaited, in order, where events were missed: each reads again what it keeps."""
        self.losses: list[Callable[[], None]] = []
        """Called where the application is over, and everything in it."""

    @property
    def channel(self) -> EventChannel | None:
        """The event channel; None before signing in."""
        return self._channel

    @property
    def lost(self) -> ApplicationLost | None:
        """Why there is none now: the server has lost it, and no other has been made yet."""
        return self._lost

    # Signing in and out

    async def sign_in(self) -> None:
        """Find the `applications` resource and make an application."""
        what = "POST applications"
        response = await self._post_application()
        if response.status_code not in (200, 201):
            raise self._not_made(response, what)
        try:
            application = resource_in(response, rel="application")
        except Unreadable as error:
            raise AnswerLost(f"{what}: {error}", provider="ucwa", status=response.status_code) from error
        if application.href is None:
            raise ProviderError(f"{what}: the application has no address", provider="ucwa")
        links = Links(self._client, self._host.clock, base=self._applications)
        self._href = links.url(application.href, "application")
        try:
            await self._take_over(application, links, what)
        except ProviderError:
            # Nobody would read its events, and a user may have only so many applications.
            await self.sign_out()
            raise

    async def sign_out(self) -> None:
        """Delete the application, within bounded time: the server would drop it in a quarter of an hour anyway."""
        application, self._href = self._href, ""
        if not application:
            return
        with anyio.move_on_after(_GOODBYE, shield=True), suppress(ProviderError):
            await self._client.send("DELETE", application)

    async def _discover(self) -> None:
        """Find where applications are made. It is remembered for as long as it is good for that."""
        url = self._config.application_url
        if url is not None:
            self._applications, self._for_guests = url, self._config.conference_key is not None
        else:
            now = self._host.clock.now()
            self._applications, self._for_guests = await find_applications(self._client, self._config, now=now)

    async def _post_application(self) -> httpx.Response:
        """Ask for an application: where the last one was made, or where the user has been moved meanwhile."""
        if not self._applications:
            await self._discover()
            return await self._post(self._applications)
        try:
            response = await self._post(self._applications)
        except NotSent:
            if not await self._has_moved(self._applications):
                raise
            return await self._post(self._applications)
        if response.status_code in _STALE and await self._has_moved(self._applications):
            return await self._post(self._applications)
        return response

    async def _post(self, applications: str) -> httpx.Response:
        body = {"userAgent": self._config.user_agent, "culture": self._config.culture}
        if not self._for_guests:
            body["endpointId"] = self._endpoint_id or str(uuid.uuid4())
        return await self._client.send("POST", applications, json=body)

    def _not_made(self, response: httpx.Response, what: str) -> ProviderError:
        problem = problem_in(response)
        if response.status_code != 403 or (problem is not None and problem.subcode is not None):
            return refused(response, what, now=self._host.clock.now())
        return AuthenticationFailed(
            f"{what}: HTTP 403: the server knows {self._config.who} and allows no application. UCWA documents three "
            "reasons: the user's policy allows no mobile one, or no desktop one, or the user joins from a federated "
            "server that is too old (OCS 2007 R2). Ask the administrator for the user's client policy.",
            provider="ucwa",
            code=problem.name if problem is not None else None,
            status=403,
        )

    async def _has_moved(self, before: str) -> bool:
        """Whether autodiscovery leads somewhere else now than to the pool that gives trouble."""
        if self._config.application_url is None:
            with suppress(ProviderError):
                await self._discover()
        return before != self._applications

    async def _take_over(self, application: Resource, links: Links, what: str) -> None:
        """Make this application the session's own, once all that belongs to it has been read."""
        events = application.link("events")
        if events is None:
            raise ProviderError(f"{what}: the application has no events link", provider="ucwa")
        resources = Resources(links.base)
        as_of = self._host.stamp()
        for rel in ("communication", "me"):
            part, linked = application.part(rel), application.link(rel)
            if part is None and linked is not None:
                part = await self._started(links, linked, rel)
            if part is not None:
                resources.put(part, as_of)
        if self._config.available:
            await self._make_available(resources, links)
        self.resources, self.links = resources, links
        self.reads = Reads(
            self._client,
            links,
            self._host.clock,
            batch=application.link("batch"),
            accept=self._config.format.media_type,
        )
        self._channel = EventChannel(
            events=events,
            renew=self._events,
            fetch=self._fetch,
            read=links.get,
            resources=resources,
            host=self._host,
            timing={"timeout": self._config.poll_timeout},
            observe=self._observe,
            recover=self._recover,
        )

    async def _started(self, links: Links, href: str, rel: str) -> Resource:
        """Read a part of the application as soon as it can be read."""
        for pause in _STARTING:
            try:
                return await links.get(href, rel)
            except ProviderError as error:
                if rel != "me" or error.status != 409:
                    raise
            await self._host.clock.sleep_until(self._host.clock.now() + pause)
        return await links.get(href, rel)

    async def _make_available(self, resources: Resources, links: Links) -> None:
        me = resources.only("me")
        href = me.link("makeMeAvailable") if me is not None else None
        if href is None:
            return
        # Calls come to the application, which may have them answered on the user's phone.
        body: dict[str, object] = {
            "supportedModalities": list(self._config.supported_modalities),
            "audioPreference": self._config.audio_preference,
            "signInAs": self._config.sign_in_as,
        }
        if self._config.phone_number is not None:
            body["phoneNumber"] = self._config.phone_number
        url = links.url(href, "makeMeAvailable")
        response = await self._client.send("POST", url, json=body)
        problem = problem_in(response)
        fewer = [modality for modality in self._config.supported_modalities if modality in OLD_MODALITIES]
        reduced = 0 < len(fewer) < len(self._config.supported_modalities)
        if response.status_code == 403 and (problem is None or problem.subcode is None) and reduced:
            # Older servers take no other modality: then calls ring the user's phone, and can only be declined here.
            body |= {"supportedModalities": fewer, "audioPreference": AudioPreference.PHONE}
            response = await self._client.send("POST", url, json=body)
            problem = problem_in(response)
        already = problem is not None and problem.subcode == "AlreadyExists"
        if not response.is_success and not already:
            raise links.refusal(response, "makeMeAvailable")
        self._active_by = self._host.clock.now() + _ACTIVITY

    async def refresh(self, *rels: str) -> None:
        """Read some of the application's own resources, such as `communication`, anew."""
        as_of = self._host.stamp()
        # Another application may take the place of this one meanwhile, which is not to be told of this one's links.
        resources, links = self.resources, self.links
        application = await self._read(" and ".join(rels))
        for rel in rels:
            part, linked = application.part(rel), application.link(rel)
            if part is None and linked is not None:
                part = await links.get(linked, rel)
            if part is not None:
                resources.put(part, as_of)

    async def _read(self, what: str) -> Resource:
        if not self._href:
            raise ProviderError(f"GET {what}: the session has no application now; it is made again", provider="ucwa")
        return await self.links.get(self._href, "application")

    async def _events(self) -> str:
        events = (await self._read("events")).link("events")
        if events is None:
            raise ProviderError("GET application: the application has no events link", provider="ucwa")
        return events

    async def _recover(self) -> None:
        """Read again what events may have told that were missed: the application first, then what others keep."""
        for recovery in (self._recover_own, *self.recoveries):
            # One that fails proves nothing about what the others read.
            with suppress(ProviderError):
                await recovery()

    async def _recover_own(self) -> None:
        await self.refresh("communication", "me")
        if self._config.available:
            await self._make_available(self.resources, self.links)

    # Running

    async def run(self) -> None:
        """Read the event channel. Where the server has lost the application, its calls are ended and it is replaced."""
        failure: ProviderError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._client.keep_fresh)
            if self._config.available:
                tasks.start_soon(self._report_activity)
            try:
                await self._run_channel()
            except ProviderError as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _run_channel(self) -> None:
        if self._lost is None and self._doubted and self._may_make_another() and await self._has_moved(self.links.base):
            await self._replace("the user's pool has moved")
        while self._channel is not None:
            if self._lost is not None:
                await self._make_again(self._lost)
            try:
                await self._channel.run()
            except ApplicationLost as lost:
                self._lost = lost
                self._lose(lost.loss, self._channel)
            except ProviderError as error:
                self._doubted = error.status in (None, 403, 502)
                raise

    async def _make_again(self, lost: ApplicationLost) -> None:
        """Make another application in place of one that is lost, or raise why there is none: it is not asked again."""
        if not lost.again or not self._may_make_another():
            # Raised again and again: what was raised before must not grow behind it.
            raise lost.with_traceback(None)
        match lost.loss:
            case Loss.MOVED:
                self._applications = ""
                await self._host.clock.sleep_until(self._host.clock.now() + _MOVING)
            case Loss.REPLACED:
                # It is the other program's now, which may go on with it.
                self._href, self._endpoint_id = "", str(uuid.uuid4())
            case Loss.SILENT:
                # The server may know it still, and a user may have only so many.
                await self.sign_out()
            case _:
                pass
        await self._replace(f"application lost: {lost.code or lost.loss}")

    async def _replace(self, why: str) -> None:
        """Make another application; the calls of the one before are lost with it."""
        since = self._channel.heard_as_of if self._channel is not None else self._host.stamp()
        before = self._channel
        await self.sign_in()
        # Not earlier: where no other can be made, this one may come back, and its calls with it.
        self._lose(Loss.MOVED, before)
        self._doubted, self._lost = False, None
        self._made_at.append(self._host.clock.now())
        self._host.report(Gap(as_of=self._host.stamp(), since=since, why=why))

    def _lose(self, why: Loss, channel: EventChannel | None) -> None:
        if channel is not None:
            channel.lose_calls(why)
        for loss in self.losses:
            loss()

    def _may_make_another(self) -> bool:
        """A server that forgets every application at once must not be asked for ever."""
        now = self._host.clock.now()
        self._made_at = [made for made in self._made_at if now - made < 3600.0]
        return len(self._made_at) < _NEW_APPLICATIONS_PER_HOUR

    async def _fetch(self, href: str, read_timeout: float) -> httpx.Response:
        return await self._client.send("GET", self.links.url(href, "events"), read_timeout=read_timeout)

    def _observe(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)

    async def _report_activity(self) -> None:
        clock = self._host.clock
        while True:
            await clock.sleep_until(self._active_by)
            self._active_by = clock.now() + _ACTIVITY_AGAIN
            # A missed report costs presence, not calls; a lost application shows itself on the event channel.
            with suppress(ProviderError):
                await self._be_active()

    async def _be_active(self) -> None:
        me = self.resources.only("me")
        if me is None or me.link("reportMyActivity") is None:
            await self.refresh("me")
            me = self.resources.only("me")
        href = me.link("reportMyActivity") if me is not None else None
        if href is None:
            # A guest, or a server that has lost sight of the user.
            await self._make_available(self.resources, self.links)
            self._active_by = self._host.clock.now() + _ACTIVITY
            return
        response = await self._client.send("POST", self.links.url(href, "reportMyActivity"))
        if response.is_success:
            self._active_by = self._host.clock.now() + _ACTIVITY
            return
        # The link is another one by now, or the server has forgotten that the user is available.
        await self.refresh("me")
        problem = problem_in(response)
        if problem is not None and problem.subcode == "MakeMeAvailableRequired":
            await self._make_available(self.resources, self.links)
