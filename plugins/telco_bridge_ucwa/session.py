"""One application on a Skype for Business server: signing in, commands, reads, and its event channel."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx

from telco_bridge.provider import (
    AnswerLost,
    CallList,
    CallReport,
    CallState,
    Command,
    Dial,
    Dialled,
    Gone,
    Host,
    Party,
    ProviderError,
    ProviderSession,
    Source,
    TooLate,
)

from .application import Application
from .auth import SignedClient
from .config import UcwaConfig
from .decode import snapshot
from .encode import NotCached, WireRequest, encode
from .hosts import open_hosts
from .links import Links
from .resources import INVITATIONS, MODALITIES, Purpose, Resources
from .wire import Event, Resource, Unreadable, is_ucwa, problem_in, resource_in, with_query

__all__ = ["UcwaSession", "open_session"]


@asynccontextmanager
async def open_session(
    config: UcwaConfig, host: Host, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncGenerator[ProviderSession]:
    """Sign in, and sign out on leaving. `transport` replaces the connections, for tests."""
    async with open_hosts(config, transport=transport) as hosts:
        client = SignedClient(hosts, config, host.clock)
        application = Application(client, config, host)
        try:
            await application.sign_in()
            yield UcwaSession(client, application, config, host)
        finally:
            await application.sign_out()


class UcwaSession(ProviderSession):
    """A signed-in application and what is known of its resources."""

    def __init__(self, client: SignedClient, application: Application, config: UcwaConfig, host: Host) -> None:
        self._client = client
        self._application = application
        self._config = config
        self._host = host

    @property
    def _resources(self) -> Resources:
        return self._application.resources

    @property
    def _links(self) -> Links:
        return self._application.links

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
            await self._application.refresh("communication")
        elif command.ref is not None:
            if isinstance(await self._read_call(command.ref), Gone):
                raise TooLate(f"{command.name}: the server does not know the conversation any more", provider="ucwa")
        else:
            placed = self._resources.placed(command.call)
            if placed is not None:
                await self._take_invitation(placed)

    async def _send(self, request: WireRequest, command: Command) -> None:
        resources, operation = self._resources, request.operation
        as_of = self._host.stamp()
        if operation is not None:
            resources.expect(operation)
        try:
            url = with_query(self._links.url(request.href, request.what), request.query)
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
        raise self._links.refusal(response, request.what)

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
        url = self._links.url(href, "conversations")
        if "filter" not in httpx.URL(url).params:
            url = with_query(url, (("filter", "active"),))
        listed = await self._links.get(url, "conversations")
        reports: list[CallReport] = []
        complete = True
        parts = {resources.key(part.href): part for part in listed.embedded.get("conversation", ())}
        links = (resources.key(link) for link in listed.links.get("conversation", ()))
        for ref in dict.fromkeys([*parts, *links]):
            part, asked = parts.get(ref), as_of
            if part is None and ref is not None:
                asked = self._host.stamp()
                with suppress(ProviderError):
                    part = await self._links.get(ref, "conversation")
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
        response = await self._client.send("GET", self._links.url(ref, "conversation"))
        problem = problem_in(response)
        if response.status_code == 404 and is_ucwa(response):
            return Gone(as_of, problem.name or "" if problem is not None else "")
        conversation = self._links.readable(response, "conversation", ref)
        resources.put(conversation, as_of)
        for rel in MODALITIES:
            linked = conversation.link(rel)
            if linked is not None and conversation.part(rel) is None:
                resources.put(_within(ref, await self._links.get(linked, rel)), as_of)
        pending = resources.pending(ref)
        if pending is not None and pending.href is not None:
            response = await self._client.send("GET", self._links.url(pending.href, pending.rel))
            if response.status_code == 404 and is_ucwa(response):
                resources.settle(pending)
            else:
                resources.put(self._links.readable(response, pending.rel, pending.href), as_of)
        return as_of

    async def _take_invitation(self, href: str) -> None:
        """Read an invitation and report it, as if an event had brought it."""
        as_of = self._host.stamp()
        invitation = await self._links.get(href, "")
        channel = self._application.channel
        if invitation.rel in INVITATIONS and channel is not None:
            event = Event(rel=invitation.rel, href=href, type="started", body=invitation)
            self._host.report(*channel.take(event, as_of))

    async def run(self) -> None:
        await self._application.run()


def _within(ref: str, modality: Resource) -> Resource:
    """The modality with the conversation it was reached from."""
    if modality.link("conversation") is not None:
        return modality
    return replace(modality, links={**modality.links, "conversation": (ref,)})
