"""One application on a Skype for Business server: signing in, commands, reads, and its event channel."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import anyio
import httpx

from telco_bridge.http import refusal
from telco_bridge.provider import (
    AnswerLost,
    CallList,
    CallReport,
    CallState,
    Command,
    Dial,
    Dialled,
    Gap,
    Gone,
    Host,
    NotSent,
    Party,
    ProviderError,
    ProviderSession,
    Source,
    TooLate,
)

from .auth import SignedClient
from .channel import ApplicationLost, EventChannel
from .config import UcwaConfig
from .decode import snapshot
from .discovery import find_applications
from .encode import NotCached, WireRequest, encode
from .hosts import open_hosts
from .resources import INVITATIONS, MODALITIES, Purpose, Resources
from .wire import Event, Resource, Unreadable, bare, is_ucwa, problem_in, resource_in, with_query

__all__ = ["UcwaSession", "open_session"]

_GOODBYE = 5.0
"""Seconds that signing out may take."""
_NEW_APPLICATIONS_PER_HOUR = 3
_STALE = frozenset({403, 404, 410, 502})
"""The refusals that a remembered address of a pool may be the reason for."""
_MOVING = 5.0
"""Seconds after which the new pool of a user who has been moved is looked for."""
_ACTIVITY = 180.0
"""UCWA documents that an available user must be reported active every four minutes."""


@asynccontextmanager
async def open_session(
    config: UcwaConfig, host: Host, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[ProviderSession]:
    """Sign in, and sign out on leaving. `transport` replaces the connections, for tests."""
    async with open_hosts(config, transport=transport) as hosts:
        session = UcwaSession(SignedClient(hosts, config, host.clock), config, host)
        try:
            await session.sign_in()
            yield session
        finally:
            await session.sign_out()


class UcwaSession(ProviderSession):
    """A signed-in application and what is known of its resources."""

    def __init__(self, client: SignedClient, config: UcwaConfig, host: Host) -> None:
        self._client = client
        self._config = config
        self._host = host
        self._applications = ""
        self._home = ""
        self._for_guests = False
        self._application = ""
        self._doubted = False
        self._resources = Resources(config.entry)
        self._channel: EventChannel | None = None
        self._made_at: list[float] = []

    # Signing in and out

    async def sign_in(self) -> None:
        """Find the `applications` resource and make an application."""
        await self._make_application()

    async def _discover(self) -> None:
        """Find where applications are made. It is remembered for as long as it is good for that."""
        url = self._config.application_url
        if url is not None:
            self._applications, self._for_guests = url, self._config.conference_key is not None
        else:
            now = self._host.clock.now()
            self._applications, self._for_guests = await find_applications(self._client, self._config, now=now)

    async def _make_application(self) -> None:
        what = "POST applications"
        response = await self._post_application()
        if response.status_code not in (200, 201):
            raise self._refusal(response, what)
        try:
            application = resource_in(response, rel="application")
        except Unreadable as error:
            raise AnswerLost(f"{what}: {error}", provider="ucwa", status=response.status_code) from error
        if application.href is None:
            raise ProviderError(f"{what}: the application has no address", provider="ucwa")
        self._application = _follow(self._applications, application.href, "application")
        try:
            await self._take_over(application, what)
        except ProviderError:
            # Nobody would read its events, and a user may have only so many applications.
            await self.sign_out()
            raise

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
            body["endpointId"] = self._config.endpoint_id or str(uuid.uuid4())
        return await self._client.send("POST", applications, json=body)

    async def _has_moved(self, before: str) -> bool:
        """Whether autodiscovery leads somewhere else now than to the pool that gives trouble."""
        if self._config.application_url is None:
            with suppress(ProviderError):
                await self._discover()
        return before != self._applications

    async def _take_over(self, application: Resource, what: str) -> None:
        """Make this application the session's own, once all that belongs to it has been read."""
        events = application.link("events")
        if events is None:
            raise ProviderError(f"{what}: the application has no events link", provider="ucwa")
        resources = Resources(self._applications)
        as_of = self._host.stamp()
        for rel in ("communication", "me"):
            part, linked = application.part(rel), application.link(rel)
            if part is None and linked is not None:
                part = await self._get(_follow(self._applications, linked, rel), rel)
            if part is not None:
                resources.put(part, as_of)
        if self._config.available:
            await self._make_available(resources)
        self._resources, self._home = resources, self._applications
        self._channel = EventChannel(
            events=events,
            fetch=self._fetch,
            read=self._read,
            resources=resources,
            host=self._host,
            poll_timeout=self._config.poll_timeout,
        )

    async def _make_available(self, resources: Resources) -> None:
        me = resources.only("me")
        href = me.link("makeMeAvailable") if me is not None else None
        if href is None:
            return
        # Calls come to the application, which may have them answered on the user's phone.
        body: dict[str, object] = {
            "supportedModalities": ["Audio", "Video", "PhoneAudio"],
            "audioPreference": "VoipAudio",
            "signInAs": "Online",
        }
        if self._config.phone_number is not None:
            body["phoneNumber"] = self._config.phone_number
        url = _follow(self._applications, href, "makeMeAvailable")
        response = await self._client.send("POST", url, json=body)
        problem = problem_in(response)
        if response.status_code == 403 and (problem is None or problem.subcode is None):
            # Older servers take no other modality: then calls ring the user's phone, and can only be declined here.
            body |= {"supportedModalities": ["PhoneAudio"], "audioPreference": "PhoneAudio"}
            response = await self._client.send("POST", url, json=body)
            problem = problem_in(response)
        already = problem is not None and problem.subcode == "AlreadyExists"
        if not response.is_success and not already:
            raise self._refusal(response, "makeMeAvailable")

    async def sign_out(self) -> None:
        """Delete the application, within bounded time: the server would drop it in a quarter of an hour anyway."""
        application, self._application = self._application, ""
        if not application:
            return
        with anyio.move_on_after(_GOODBYE, shield=True), suppress(ProviderError):
            await self._client.send("DELETE", application)

    # Commands

    async def execute(self, command: Command) -> None:
        for request in await self._encode(command):
            await self._send(request, command)

    async def _encode(self, command: Command) -> tuple[WireRequest, ...]:
        try:
            return encode(command, self._resources, phone_number=self._config.phone_number)
        except NotCached:
            await self._look_up(command)
        try:
            return encode(command, self._resources, phone_number=self._config.phone_number)
        except NotCached as error:
            raise TooLate(f"{command.name}: the server knows no {error} of that call", provider="ucwa") from error

    async def _look_up(self, command: Command) -> None:
        """Read what the command needs and events have not told."""
        if isinstance(command, Dial):
            await self._read_application_part("communication")
        elif command.ref is not None:
            if isinstance(await self._read_call(command.ref), Gone):
                raise TooLate(f"{command.name}: the server does not know the conversation any more", provider="ucwa")
        else:
            placed = self._resources.placed(command.call)
            if placed is not None:
                await self._take_invitation(placed)

    async def _read_application_part(self, rel: str) -> None:
        if not self._application:
            raise ProviderError(f"GET {rel}: the session has no application now; it is made again", provider="ucwa")
        as_of = self._host.stamp()
        application = await self._get(self._application, "application")
        part, linked = application.part(rel), application.link(rel)
        if part is None and linked is not None:
            part = await self._get(self._url(linked, rel), rel)
        if part is not None:
            self._resources.put(part, as_of)

    async def _send(self, request: WireRequest, command: Command) -> None:
        resources, operation = self._resources, request.operation
        as_of = self._host.stamp()
        if operation is not None:
            resources.expect(operation)
        try:
            url = with_query(self._url(request.href, request.what), request.query)
            if request.sdp is not None:
                response = await self._client.describe(url, request.sdp)
            else:
                response = await self._client.send(request.method, url, json=request.body)
            self._check(response, request, command)
        except AnswerLost:
            raise
        except ProviderError:
            if operation is not None:
                resources.forget_operation(operation.id)
            raise
        if operation is None:
            return
        location = response.headers.get("location")
        if location is not None:
            resources.place(operation.id, location)
        if operation.purpose is Purpose.DIAL:
            self._host.report(
                CallReport(
                    source=Source.ANSWER,
                    as_of=as_of,
                    command_id=operation.id,
                    origin=Dialled(),
                    state=CallState.DIALING,
                    remote=Party(operation.to),
                )
            )
        if location is not None and resources.invitation_by(operation.id) is None:
            # The answer names the invitation and the event that tells of it may be lost. The command is accepted
            # either way, so a failure to read it here is no failure of the command.
            with suppress(ProviderError):
                await self._take_invitation(location)

    def _check(self, response: httpx.Response, request: WireRequest, command: Command) -> None:
        """Raise the fact that an answer to a command means, unless it was accepted."""
        status = response.status_code
        if response.is_success:
            if response.content:
                try:
                    resource_in(response, rel=request.what)
                except Unreadable as error:
                    raise AnswerLost(f"{request.what}: {error}", provider="ucwa", status=status) from error
            return
        problem = problem_in(response)
        if status in (404, 409, 410) and not isinstance(command, Dial):
            said = f"{problem.name} {problem.words}" if problem is not None else ""
            raise TooLate(
                f"{request.what}: HTTP {status} {said}".rstrip(),
                provider="ucwa",
                code=problem.name if problem is not None else None,
                status=status,
            )
        if status == 408:
            raise AnswerLost(f"{request.what}: HTTP 408", provider="ucwa", status=status)
        raise self._refusal(response, request.what)

    def _refusal(self, response: httpx.Response, what: str) -> ProviderError:
        problem = problem_in(response)
        return refusal(
            response,
            provider="ucwa",
            what=what,
            code=problem.name if problem is not None else None,
            message=problem.words if problem is not None else "",
            now=self._host.clock.now(),
        )

    # Reads

    async def read(self, ref: str) -> CallReport | Gone:
        answer = await self._read_call(ref)
        if isinstance(answer, Gone):
            return answer
        self._resources.adopt(ref)
        return snapshot(ref, self._resources, answer, complete=True)

    async def list_calls(self) -> CallList:
        as_of = self._host.stamp()
        resources = self._resources
        communication = resources.only("communication")
        href = communication.link("conversations") if communication is not None else None
        if href is None:
            raise ProviderError("the server offers no list of conversations", provider="ucwa")
        url = self._url(href, "conversations")
        if "filter" not in httpx.URL(url).params:
            url = with_query(url, (("filter", "active"),))
        listed = await self._get(url, "conversations")
        reports: list[CallReport] = []
        complete = True
        parts = {resources.key(part.href): part for part in listed.embedded.get("conversation", ())}
        links = (resources.key(link) for link in listed.links.get("conversation", ()))
        for ref in dict.fromkeys([*parts, *links]):
            part, asked = parts.get(ref), as_of
            if part is None and ref is not None:
                asked = self._host.stamp()
                with suppress(ProviderError):
                    part = await self._get(self._url(ref, "conversation"), "conversation")
            if ref is None or part is None:
                # What events told of it before is no answer to this question.
                complete = False
                continue
            resources.put(part, asked)
            if resources.is_call(ref):
                reports.append(snapshot(ref, resources, asked, complete=False))
        return CallList(reports=tuple(reports), as_of=as_of, complete=complete)

    async def _read_call(self, ref: str) -> float | Gone:
        """Bring what is known of a conversation up to date; return the time before the first question."""
        resources = self._resources
        as_of = self._host.stamp()
        response = await self._client.send("GET", self._url(ref, "conversation"))
        problem = problem_in(response)
        if response.status_code == 404 and is_ucwa(response):
            return Gone(as_of, problem.name or "" if problem is not None else "")
        conversation = self._readable(response, "conversation", ref)
        resources.put(conversation, as_of)
        for rel in MODALITIES:
            linked = conversation.link(rel)
            if linked is not None and conversation.part(rel) is None:
                resources.put(_within(ref, await self._get(self._url(linked, rel), rel)), as_of)
        pending = resources.pending(ref)
        if pending is not None and pending.href is not None:
            response = await self._client.send("GET", self._url(pending.href, pending.rel))
            if response.status_code == 404 and is_ucwa(response):
                resources.settle(pending)
            else:
                resources.put(self._readable(response, pending.rel, pending.href), as_of)
        return as_of

    async def _take_invitation(self, href: str) -> None:
        """Read an invitation and report it, as if an event had brought it."""
        as_of = self._host.stamp()
        invitation = await self._get(self._url(href, "the invitation"), "")
        channel = self._channel
        if invitation.rel in INVITATIONS and channel is not None:
            event = Event(rel=invitation.rel, href=href, type="started", body=invitation)
            self._host.report(*channel.take(event, as_of))

    async def _get(self, url: str, rel: str) -> Resource:
        return self._readable(await self._client.send("GET", url), rel, url)

    async def _read(self, href: str, rel: str) -> Resource:
        return await self._get(self._url(href, rel), rel)

    def _readable(self, response: httpx.Response, rel: str, url: str) -> Resource:
        what = f"GET {rel or url}"
        if response.status_code != 200:
            raise self._refusal(response, what)
        try:
            resource = resource_in(response, rel=rel)
        except Unreadable as error:
            raise ProviderError(f"{what}: {error}", provider="ucwa", status=200) from error
        return resource if resource.href is not None else replace(resource, href=url)

    def _url(self, href: str, rel: str) -> str:
        try:
            return str(httpx.URL(self._resources.url(href)))
        except (httpx.InvalidURL, ValueError) as error:
            raise _broken(href, rel) from error

    # Events

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
        if self._doubted and self._may_make_another() and await self._has_moved(self._home):
            await self._replace_application("the user's pool has moved")
        while self._channel is not None:
            try:
                await self._channel.run()
            except ApplicationLost as lost:
                moved = (lost.code or "").endswith("CannotRedirect")
                self._channel.lose_calls("application lost")
                if not (lost.again or moved) or not self._may_make_another():
                    raise
                if moved:
                    self._applications = ""
                    await self._host.clock.sleep_until(self._host.clock.now() + _MOVING)
                await self._replace_application(f"application lost: {lost.code}")
            except ProviderError as error:
                self._doubted = error.status in (None, 403, 502)
                raise

    async def _replace_application(self, why: str) -> None:
        """Make another application; the calls of the one before are lost with it."""
        since = self._channel.heard_as_of if self._channel is not None else self._host.stamp()
        if self._channel is not None:
            self._channel.lose_calls("application lost")
        await self._make_application()
        self._doubted = False
        self._made_at.append(self._host.clock.now())
        self._host.report(Gap(as_of=self._host.stamp(), since=since, why=why))

    def _may_make_another(self) -> bool:
        """A server that forgets every application at once must not be asked for ever."""
        now = self._host.clock.now()
        self._made_at = [made for made in self._made_at if now - made < 3600.0]
        return len(self._made_at) < _NEW_APPLICATIONS_PER_HOUR

    async def _fetch(self, href: str, read_timeout: float) -> httpx.Response:
        return await self._client.send("GET", self._url(href, "events"), read_timeout=read_timeout)

    async def _report_activity(self) -> None:
        clock = self._host.clock
        while True:
            await clock.sleep_until(clock.now() + _ACTIVITY)
            # A missed report costs presence, not calls; a lost application shows itself on the event channel.
            with suppress(ProviderError):
                me = self._resources.only("me")
                if me is None or me.link("reportMyActivity") is None:
                    await self._read_application_part("me")
                    me = self._resources.only("me")
                href = me.link("reportMyActivity") if me is not None else None
                if href is not None:
                    await self._client.send("POST", self._url(href, "reportMyActivity"))


def _within(ref: str, modality: Resource) -> Resource:
    """The modality with the conversation it was reached from."""
    if modality.link("conversation") is not None:
        return modality
    return replace(modality, links={**modality.links, "conversation": (ref,)})


def _follow(url: str, link: str, rel: str) -> str:
    try:
        return str(httpx.URL(url).join(link))
    except httpx.InvalidURL as error:
        raise _broken(link, rel) from error


def _broken(link: str, rel: str) -> ProviderError:
    return ProviderError(f"{rel}: the server gave a link that is no URL: {bare(link)}", provider="ucwa")
