"""One application on a Skype for Business server: signing in, commands, reads, and its event channel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx

from telco_bridge.provider import (
    AnswerLost,
    CallList,
    CallReport,
    CallState,
    Cause,
    Command,
    Dial,
    Dialled,
    Gone,
    Host,
    Modality,
    NotSent,
    Party,
    ProviderError,
    ProviderSession,
    Refused,
    Source,
    StartMedia,
    TooLate,
)

from .application import Application
from .auth import SignedClient
from .body import Unreadable, is_ucwa
from .config import UcwaConfig
from .decode import snapshot
from .encode import NotCached, WireRequest, encode
from .hosts import open_hosts
from .links import Links
from .native import UcwaApplication
from .native.door import Door
from .problems import Problem, problem_in, said
from .resources import CALL_MODALITIES, INVITATIONS, MESSAGING, MODALITIES, Purpose, Resources
from .wire import Event, Resource, resource_in, with_query

__all__ = ["UcwaSession", "open_session"]

_PHONE_RINGS = 90.0
_INVITED = 45.0


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
        application.recoveries.append(self._recover)
        self.native = UcwaApplication(Door.of(client, application, host))

    @property
    def _resources(self) -> Resources:
        return self._application.resources

    @property
    def _links(self) -> Links:
        return self._application.links

    # Commands

    def patience(self, command: Command) -> float:
        """A start is an invitation that somebody has to take: on the user's own phone first, where that is rung."""
        if not isinstance(command, StartMedia):
            return 0.0
        return _PHONE_RINGS if command.offer is None and command.modality is Modality.AUDIO else _INVITED

    async def execute(self, command: Command) -> None:
        lost = self._application.lost
        if lost is not None:
            raise NotSent(f"{command.name}: the session has no application now: {lost}", provider="ucwa")
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
            into = command.native.get("conversation")
            if not isinstance(into, str):
                await self._application.refresh("communication")
            elif isinstance(await self._read_call(into), Gone):
                raise Refused(f"{command.name}: the conversation is over. Nothing was sent.", provider="ucwa")
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
                response = await self._client.send(request.method, url, json=request.body, revision=request.revision)
            self._check(response, request, command)
        except AnswerLost:
            raise
        except ProviderError:
            if operation is not None:
                resources.forget_operation(operation.id)
            raise
        if operation is None:
            return
        if self._application.lost is not None or self._resources is not resources:
            raise AnswerLost(f"{request.what}: the server lost the application meanwhile", provider="ucwa")
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
            raise TooLate(
                f"{request.what}: {said(response)}",
                provider="ucwa",
                code=problem.name if problem is not None else None,
                status=status,
            )
        if _lost(problem):
            raise NotSent(f"{request.what}: {said(response)}", provider="ucwa", status=status)
        if status == 408:
            raise AnswerLost(f"{request.what}: HTTP 408", provider="ucwa", status=status)
        raise self._links.refusal(response, request.what)

    # Reads

    async def read(self, ref: str) -> CallReport | Gone:
        answer = await self._read_call(ref)
        if isinstance(answer, Gone):
            # While another conversation may take the call over, that this one has gone says nothing of the call.
            kept = self._resources.awaits_successor(ref) and await self._ask_for_successor(ref)
            return CallReport(source=Source.READ, as_of=answer.as_of, ref=ref) if kept else answer
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
        parts = {resources.key(part.href): (part, as_of) for part in listed.embedded.get("conversation", ())}
        links = [resources.key(link) for link in listed.links.get("conversation", ())]
        bare = [link for link in dict.fromkeys(links) if link is not None and link not in parts]
        asked = self._host.stamp()
        answers = await self._application.reads.all([(link, "conversation") for link in bare])
        for link, answer in zip(bare, answers, strict=True):
            if isinstance(answer, Resource):
                parts[link] = answer, asked
        known = {ref: part for ref, part in parts.items() if ref is not None}
        for part, at in known.values():
            resources.put(part, at)
        await self._read_missing(part for part, _ in known.values())
        calls = [(ref, at) for ref, (_, at) in known.items() if resources.is_call(ref)]
        return CallList(
            reports=tuple(snapshot(ref, resources, at, complete=False) for ref, at in calls),
            as_of=as_of,
            # What events told before of a call that could not be read is no answer to this question.
            complete=len(known) == len({*parts, *links}),
        )

    async def _recover(self) -> None:
        """Read every call again, because events were missed, and report what has become of each."""
        resources = self._resources
        before = resources.calls
        listed = await self.list_calls()
        self._host.report(*(report for report in listed.reports if report.ref in before))
        present = {report.ref for report in listed.reports}
        for ref in before:
            if ref in present or not resources.is_call(ref):
                continue
            # One that cannot be read now is read by whoever hears of the gap, and so are all of a server that is gone.
            try:
                answer = await self._read_call(ref)
                if isinstance(answer, Gone) and not resources.is_call(ref):
                    # An event has told it meanwhile.
                    continue
                if isinstance(answer, Gone) and resources.awaits_successor(ref) and await self._ask_for_successor(ref):
                    continue
            except ProviderError as error:
                if isinstance(error, NotSent | AnswerLost) and error.status is None:
                    return
            else:
                if not isinstance(answer, Gone):
                    self._host.report(snapshot(ref, resources, answer, complete=True))
                else:
                    resources.forget(ref)
                    cause = Cause(dialect="EventChannel", code="resync", text=answer.native)
                    ended = CallReport(
                        source=Source.READ, as_of=answer.as_of, ref=ref, state=CallState.ENDED, cause=cause
                    )
                    self._host.report(ended)

    async def _read_missing(self, conversations: Iterable[Resource]) -> None:
        """Read the modalities that nothing is known of, and invitations in doubt, as after events were missed."""
        resources = self._resources
        asked = self._host.stamp()
        found = [(ref, part) for part in conversations if (ref := resources.key(part.href)) and resources.is_call(ref)]
        due = [
            (ref, rel, linked)
            for ref, conversation in found
            for rel in MODALITIES
            if (linked := conversation.link(rel)) is not None and resources.modality(ref, rel) is None
        ]
        doubtful = [(ref, one) for ref, _ in found for one in resources.doubtful(ref)]
        due += [(ref, one.rel, one.href or "") for ref, one in doubtful]
        answers = await self._application.reads.all([(linked, rel) for _, rel, linked in due])
        for (ref, _, _), answer in zip(due, answers, strict=True):
            # The conversation may have ended while this was asked.
            if isinstance(answer, Resource) and resources.is_call(ref):
                resources.put(_within(ref, answer), asked)
        for (_, one), answer in zip(doubtful, answers[len(due) - len(doubtful) :], strict=True):
            if isinstance(answer, ProviderError) and answer.status == 404 and answer.code is not None:
                resources.settle(one)

    async def _read_call(self, ref: str) -> float | Gone:
        """Bring what is known of a conversation up to date; return the time before the first question."""
        resources = self._resources
        as_of = self._host.stamp()
        response = await self._client.send("GET", self._links.url(ref, "conversation"))
        problem = problem_in(response)
        if response.status_code == 404 and is_ucwa(response) and not _lost(problem):
            return Gone(as_of, problem.name or "" if problem is not None else "")
        conversation = self._links.readable(response, "conversation", ref)
        resources.put(conversation, as_of)
        for rel in MODALITIES:
            linked = conversation.link(rel)
            if linked is None or conversation.part(rel) is not None:
                continue
            try:
                modality = await self._links.get(linked, rel)
            except ProviderError as error:
                # Who may not write messages may talk all the same.
                if rel in CALL_MODALITIES or error.status is None:
                    raise
            else:
                resources.put(_within(ref, modality), as_of)
        if resources.is_conference(ref):
            await self._read_voice(ref, conversation, as_of)
        for pending in (resources.pending(ref), resources.pending(ref, MESSAGING)):
            if pending is None or pending.href is None:
                continue
            response = await self._client.send("GET", self._links.url(pending.href, pending.rel))
            if response.status_code == 404 and is_ucwa(response):
                resources.settle(pending)
            else:
                resources.put(self._links.readable(response, pending.rel, pending.href), as_of)
        return as_of

    async def _read_voice(self, ref: str, conversation: Resource, as_of: float) -> None:
        """Read whether the user is muted in a conference, where the user has audio there."""
        place = conversation.link("localParticipant")
        own = await self._links.get(place, "localParticipant") if place is not None else None
        href = own.link("participantAudio") if own is not None else None
        if href is not None:
            self._resources.put_voice(ref, await self._links.get(href, "participantAudio"), as_of)

    async def _ask_for_successor(self, ref: str) -> bool:
        """Read what would take the call over, for its event may have been lost; False where nothing will."""
        resources = self._resources
        invitation = resources.replacing(ref) or next(reversed(resources.invitations(ref)), None)
        if invitation is not None and invitation.href is not None:
            try:
                await self._take_invitation(invitation.href, "updated")
            except ProviderError as error:
                if error.status != 404 or error.code is None:
                    raise
            else:
                return True
        resources.forget(ref)
        return False

    async def _take_invitation(self, href: str, kind: str = "started") -> None:
        """Read an invitation and report it, as if an event of that kind had brought it."""
        as_of, channel = self._host.stamp(), self._application.channel
        invitation = await self._links.get(href, "")
        if channel is None or channel is not self._application.channel or self._application.lost is not None:
            # What belongs to an application that was lost meanwhile is no call of this one.
            return
        if invitation.rel in INVITATIONS:
            event = Event(rel=invitation.rel, href=href, type=kind, body=invitation)
            self._host.report(*channel.take(event, as_of))

    async def run(self) -> None:
        await self._application.run()


def _lost(problem: Problem | None) -> bool:
    """Whether it is the application that the server does not know, and not what was asked for."""
    return problem is not None and problem.subcode == "ApplicationNotFound"


def _within(ref: str, modality: Resource) -> Resource:
    """The modality with the conversation it was reached from."""
    if modality.link("conversation") is not None:
        return modality
    return replace(modality, links={**modality.links, "conversation": (ref,)})
