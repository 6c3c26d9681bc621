"""However a server packs, merges, orders, doubles and replays the events of calls, the calls come to the same.

Each history is what a server goes through with one call, in moments: what happens in one moment has no order but that
of each resource. A history is delivered once in the plainest way, event by event, and once as it comes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import telco_bridge
from telco_bridge import Bridge
from telco_bridge.events import CallEnded
from telco_bridge.media import Modality
from telco_bridge.provider import Confidence, EndedBy
from telco_bridge.sandbox import SteppedClock
from telco_bridge_ucwa.plugin import telco_bridge_provider
from telco_bridge_ucwa.session import open_session

Json = dict[str, Any]
POOL = "https://pool.example.org"
A = "/app"
SDP = "v=0\r\nm=audio 1 RTP/SAVP 0\r\nm=video 2 RTP/SAVP 122\r\n"
OFFER = "data:application/sdp;charset=utf-8," + SDP.replace("\r\n", "%0d%0a").replace(" ", "+")
SUBCODES = (
    "Declined",
    "Busy",
    "DoNotDisturb",
    "Missed",
    "Canceled",
    "ConnectedElsewhere",
    "DestinationNotFound",
    "PstnCallFailed",
    "MediaFailure",
    "Unreachable",
    "SomethingNew",
    None,
)
KINDS = ("phone", "av", "incoming av", "incoming phone")
# The same deliveries every time: whoever hunts raises the number and draws others.
hunting = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# Histories


@dataclass(frozen=True)
class Told:
    """One event. `body` is None where the resource is no more."""

    call: int
    rel: str
    href: str
    kind: str
    body: Json | None = None
    extra: tuple[tuple[str, object], ...] = ()

    @property
    def sender(self) -> Json:
        within = self.rel in ("phoneAudio", "audioVideo")
        return {"rel": "conversation" if within else "communication", "href": f"/c{self.call}" if within else A}


@dataclass
class Story:
    """What a server goes through with one call."""

    number: int
    kind: str
    moments: list[list[Told]] = field(default_factory=list)

    def tell(
        self, rel: str, href: str, kind: str, links: str = "", *, extra: Json | None = None, **words: object
    ) -> Told:
        place = {"conversation": f"/c{self.number}"} if rel != "conversation" else {}
        modalities = {"phoneAudio": f"/c{self.number}/p", "audioVideo": f"/c{self.number}/v"}
        place |= modalities if rel == "conversation" else {}
        named = {name: {"href": place.get(name, f"{href}/{name}")} for name in [*place, *links.split()]}
        body = {"rel": rel, **words, "_links": {"self": {"href": href}, **named}}
        return Told(self.number, rel, href, kind, body, tuple((extra or {}).items()))

    def talk(self, state: str, *active: str, kind: str = "updated") -> Told:
        return self.tell("conversation", f"/c{self.number}", kind, state=state, activeModalities=list(active))

    def gone(self) -> Told:
        return Told(self.number, "conversation", f"/c{self.number}", "deleted")

    def phone(self, state: str, links: str = "") -> Told:
        return self.tell("phoneAudio", f"/c{self.number}/p", "updated", links, state=state)

    def av(self, state: str, links: str = "") -> Told:
        return self.tell("audioVideo", f"/c{self.number}/v", "updated", links, state=state)

    def invitation(self, kind: str, state: str, links: str = "", *, turn: int = 0, **extra: object) -> Told:
        rel = "phoneAudioInvitation" if "phone" in self.kind else "audioVideoInvitation"
        incoming = turn or self.kind.startswith("incoming")
        words: Json = {"state": state, "direction": "Incoming" if incoming else "Outgoing"}
        if not incoming:
            words["operationId"] = f"op-{self.number}"
        told = self.tell(rel, f"/i{self.number}.{turn}", kind, links, extra=extra, **words)
        assert told.body is not None
        told.body["_links"]["phoneAudio" if "phone" in self.kind else "audioVideo"] = {
            "href": f"/c{self.number}/{'p' if 'phone' in self.kind else 'v'}"
        }
        if incoming:
            told.body["_embedded"] = {"from": {"uri": "sip:bob@example.org", "_links": {"self": {"href": "/bob"}}}}
            if "audioVideo" in rel:
                told.body["_links"]["mediaOffer"] = {"href": OFFER}
        return told


BOTH = "stopAudio stopVideo stopAudioVideo"


def beginning(story: Story) -> None:
    match story.kind:
        case "phone":
            story.moments.append(
                [
                    story.invitation("started", "Connecting", "cancel"),
                    story.talk("Connecting", kind="added"),
                    story.phone("Connecting", "stopPhoneAudio"),
                ]
            )
        case "av":
            story.moments.append(
                [
                    story.invitation("started", "Connecting", "cancel"),
                    story.talk("Connecting", kind="added"),
                    story.av("Connecting", "stopAudioVideo"),
                ]
            )
        case "incoming av":
            story.moments.append(
                [
                    story.invitation("started", "Connecting", "acceptWithAnswer decline"),
                    story.talk("Incoming", "Audio", "Video", kind="added"),
                ]
            )
        case _:
            story.moments.append(
                [
                    story.invitation("started", "Connecting", "decline"),
                    story.talk("Incoming", "Audio", kind="added"),
                    story.phone("Connecting"),
                ]
            )


def answer(story: Story) -> None:
    if "phone" in story.kind:
        flows, active = story.phone("Connected", "stopPhoneAudio holdPhoneAudio"), ("Audio",)
    else:
        flows, active = story.av("Connected", BOTH), ("Audio", "Video")
    if story.kind.startswith("incoming"):
        story.moments.append([story.invitation("updated", "Connecting")])
    done = story.invitation("completed", "Connected", status="Success")
    story.moments.append([flows, story.talk("Connected", *active), done])


def change(story: Story, draw: Callable[[Any], Any]) -> None:
    """What may happen while people talk: hold and resume, or media that stop and come back."""
    for turn in range(1, 1 + draw(st.integers(0, 2))):
        if "phone" in story.kind:
            story.moments.append([story.phone("Connected", "stopPhoneAudio resumePhoneAudio")])
            if draw(st.booleans()):
                story.moments.append([story.phone("Connected", "stopPhoneAudio holdPhoneAudio")])
            continue
        lost, left = draw(st.permutations(["Audio", "Video"]))
        story.moments.append(
            [story.av("Connected", f"stop{left} stopAudioVideo add{lost}"), story.talk("Connected", left)]
        )
        if not draw(st.booleans()):
            return
        story.moments.append([story.invitation("started", "Connecting", "acceptWithAnswer decline", turn=turn)])
        story.moments.append(
            [
                story.av("Connected", BOTH),
                story.talk("Connected", "Audio", "Video"),
                story.invitation("completed", "Connected", turn=turn, status="Success"),
            ]
        )


def end(story: Story, *first: Told) -> None:
    idle = (
        story.phone("Disconnected", "addPhoneAudio") if "phone" in story.kind else story.av("Disconnected", "addAudio")
    )
    begun = idle.rel != "audioVideo" or any(told.rel == "audioVideo" for moment in story.moments for told in moment)
    story.moments.append([*first, *([idle] if begun else []), story.talk("Disconnected")])
    story.moments.append([story.gone()])


@st.composite
def stories(draw: Callable[[Any], Any], number: int) -> Story:
    story = Story(number, draw(st.sampled_from(KINDS)))
    beginning(story)
    if story.kind in ("phone", "av") and draw(st.booleans()):
        story.moments.append([story.invitation("updated", "Alerting", "cancel")])
    if draw(st.booleans()):
        answer(story)
        change(story, draw)
        end(story)
    else:
        subcode = draw(st.sampled_from(SUBCODES))
        reason = {"code": "RemoteFailure", "subcode": subcode, "message": "no"}
        state = draw(st.sampled_from(["Failed", "Declined"] if subcode == "Declined" else ["Failed"]))
        end(story, story.invitation("completed", state, status="Failure", reason=reason))
    # A history need not be over.
    story.moments = story.moments[: draw(st.integers(1, len(story.moments)))]
    return story


# Deliveries


@dataclass(frozen=True)
class Step:
    """One answer of the event channel. `events` are what it tells, `happened` what had happened by then."""

    events: tuple[Told, ...]
    happened: tuple[Told, ...] = ()
    way: str = "next"


def plainly(stories_told: list[Story]) -> list[Step]:
    events = [told for story in stories_told for moment in story.moments for told in moment]
    return [Step((told,), (told,)) for told in events]


@st.composite
def orders(draw: Callable[[Any], Any], stories_told: list[Story]) -> list[Told]:
    """Any order in which the calls' moments interleave, and each moment's events; those of one resource keep theirs."""
    lines = [[told for moment in story.moments for told in draw(st.permutations(moment))] for story in stories_told]
    mixed: list[Told] = []
    while any(lines):
        line = draw(st.sampled_from([line for line in lines if line]))
        mixed.append(line.pop(0))
    return mixed


def merged(events: tuple[Told, ...]) -> tuple[Told, ...]:
    """Only the newest state of each resource, and nothing of what came and went."""
    kept: dict[str, Told] = {}
    for told in events:
        before = kept.pop(told.href, None)
        if before is None:
            kept[told.href] = told
        elif told.kind != "deleted":
            first = before.kind in ("added", "started") and told.kind == "updated"
            kept[told.href] = replace(told, kind=before.kind) if first else told
        elif before.kind != "added":
            kept[told.href] = told
    return tuple(kept.values())


@st.composite
def deliveries(draw: Callable[[Any], Any], stories_told: list[Story], *, replays: bool) -> list[Step]:
    events = draw(orders(stories_told))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(events) - 1)))))
    bounds = [0, *[cut for cut in cuts if cut < len(events)], len(events)]
    merging = draw(st.booleans())
    steps: list[Step] = []
    for begin, until in itertools.pairwise(bounds):
        whole = tuple(events[begin:until])
        said = merged(whole) if merging else whole
        steps.append(Step(said, whole))
        if replays and draw(st.integers(0, 3)) == 0:
            # The first package that was not acknowledged is told again: the last one, which was.
            steps += [Step((), (), "resync"), Step(said)]
        if draw(st.integers(0, 5)) == 0:
            # What comes twice does so with one state of each resource: of several, the older ones would be news.
            steps.append(draw(st.sampled_from([Step(()), *([Step(said)] if merging else [])])))
    return steps


# The server


class ModelServer:
    """Plays steps, and answers reads with what is true by then."""

    def __init__(self, stories_told: list[Story]) -> None:
        self.state: dict[str, Json] = {}
        self.dialled: list[str] = []
        self.stories = stories_told
        self.outgoing = [story for story in stories_told if not story.kind.startswith("incoming")]
        self.reached: dict[int, int] = {}
        self.embeds = True
        self._answers: list[Json] = []
        self._released = anyio.Event()

    def play(self, step: Step) -> None:
        for told in step.happened:
            self.reach(told)
        raw = [self.raw(told) for told in step.events]
        self._answers.append({"_links": {step.way: {"href": f"{A}/events?ack=2"}}, "sender": raw})
        self._released.set()

    def reach(self, told: Told) -> None:
        """Let the moment of an event come, whole."""
        story = next(story for story in self.stories if story.number == told.call)
        moment = next(index for index, moment in enumerate(story.moments) if any(one is told for one in moment))
        while self.reached.get(told.call, -1) < moment:
            self.reached[told.call] = self.reached.get(told.call, -1) + 1
            for one in story.moments[self.reached[told.call]]:
                if one.body is None:
                    self.state = {h: b for h, b in self.state.items() if not h.startswith(f"/c{one.call}")}
                else:
                    self.state[one.href] = self.said(one)

    def said(self, told: Told) -> Json:
        """The body with the operationId that the client has chosen."""
        body = dict(told.body or {})
        if "operationId" in body:
            numbers = [story.number for story in self.outgoing]
            body["operationId"] = self.dialled[numbers.index(told.call)]
        return body

    def raw(self, told: Told) -> Json:
        event = {"link": {"rel": told.rel, "href": told.href}, "type": told.kind, **dict(told.extra)}
        if told.body is not None and self.embeds:
            event["_embedded"] = {told.rel: self.said(told)}
        return told.sender | {"events": [event]}

    async def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == f"{A}/events":
            while not self._answers:
                self._released = anyio.Event()
                await self._released.wait()
            return httpx.Response(200, json=self._answers.pop(0))
        if request.method == "POST" and path in ("/start/phone", "/start/av"):
            story = self.outgoing[len(self.dialled)]
            self.dialled.append(httpx.Response(200, content=request.content).json()["operationId"])
            first = next(told for told in story.moments[0] if "Invitation" in told.rel)
            self.reach(first)
            return httpx.Response(201, headers={"Location": first.href})
        if request.method == "POST" and path == "/apps":
            return httpx.Response(201, json=self.application())
        if request.method != "GET":
            return httpx.Response(204)
        if path == A:
            return httpx.Response(200, json=self.application())
        if path == "/conversations":
            active = [body for href, body in self.state.items() if body["rel"] == "conversation"]
            named = {"_links": {"self": {"href": "/conversations"}}, "_embedded": {"conversation": active}}
            return httpx.Response(200, json=named)
        if path in self.state:
            return httpx.Response(200, json=self.state[path])
        if path[-2:] in ("/p", "/v") and path[:-2] in self.state:
            rel = "phoneAudio" if path.endswith("p") else "audioVideo"
            links = {"self": {"href": path}, "conversation": {"href": path[:-2]}}
            return httpx.Response(200, json={"rel": rel, "state": "Disconnected", "_links": links})
        return httpx.Response(404, json={"code": "NotFound"})

    def application(self) -> Json:
        starts = {"startPhoneAudio": "/start/phone", "startAudioVideo": "/start/av", "conversations": "/conversations"}
        links = {"self": {"href": f"{A}/communication"}, **{rel: {"href": href} for rel, href in starts.items()}}
        named = {"self": {"href": A}, "events": {"href": f"{A}/events?ack=1"}}
        return {"_links": named, "_embedded": {"communication": {"rel": "communication", "_links": links}}}


@dataclass(frozen=True)
class Outcome:
    """What an application knows of one call in the end."""

    direction: str
    state: str
    answered: bool | None
    held: bool | None
    live: tuple[tuple[str, str], ...]
    end: tuple[str, str] | None
    inferred: bool
    """Whether nobody told of the end."""

    def but(self, slots: set[str]) -> Outcome:
        """The same without what is known of these streams."""
        return replace(self, live=tuple((slot, state) for slot, state in self.live if slot not in slots))


def outcomes(bridge: Bridge) -> dict[str, Outcome]:
    board = bridge._switchboard
    found: dict[str, Outcome] = {}
    for record in [*board._live.values(), *board._ended.values()]:
        view, why = record.view, record.view.termination
        found[view.ref or "nowhere"] = Outcome(
            direction=view.direction,
            state=view.state,
            answered=view.answered,
            held=view.held,
            live=tuple(sorted((s.id.slot, str(s.state)) for s in view.live_streams)),
            end=(why.reason, why.by) if why is not None else None,
            inferred=why is not None and why.confidence is Confidence.INFERRED,
        )
    return found


def delivered(stories_told: list[Story], steps: list[Step], *, embeds: bool = True) -> dict[str, Outcome]:
    """Play the steps to a bridge; return what it knows of each call, by the conversation, in the end."""
    return anyio.run(_delivered, stories_told, steps, embeds, backend="trio")


async def _delivered(stories_told: list[Story], steps: list[Step], embeds: bool) -> dict[str, Outcome]:
    server = ModelServer(stories_told)
    server.embeds = embeds
    transport = httpx.MockTransport(server.handle)
    plugin = replace(
        telco_bridge_provider(), connect=lambda config, host: open_session(config, host, transport=transport)
    )
    clock = SteppedClock()
    options = {"provider": plugin, "application_url": f"{POOL}/apps", "username": "ada", "password": "p"}
    async with telco_bridge.connect(options, clock=clock) as bridge:
        for story in server.outgoing:
            more = {} if story.kind == "phone" else {"modalities": [Modality.AUDIO, Modality.VIDEO], "offer": SDP}
            (await bridge.dial("sip:bob@example.org", **more)).release()
        for step in steps:
            server.play(step)
            await clock.advance(0.0)
        # What was missed is read, twice where nobody knows it any more.
        await clock.advance(5.0)
        found = outcomes(bridge)
        # What has ended without a trace shows when all calls are read.
        await clock.advance(40.0)
        later = outcomes(bridge)
        found = {ref: later[ref] if later[ref].state == "ended" else known for ref, known in found.items()}
        log = bridge._switchboard.log
        cursor = bridge.events(since=0)
        events = [await anext(cursor) for _ in range(log.written)]
        ends = [event.call.id for event in events if isinstance(event, CallEnded)]
        assert len(ends) == len(set(ends)), "no call ends twice"
        for call in bridge.calls:
            call.release()
    return found


def truth(story: Story) -> Outcome:
    """What the plainest delivery of that call alone comes to."""
    return delivered([story], plainly([story]))[f"/c{story.number}"]


def the_same(told: list[Story], found: dict[str, Outcome]) -> bool:
    """Whether every call came to what is true of it. One that came and went within a package may never have rung."""
    for story in told:
        true, known = truth(story), found.pop(f"/c{story.number}", None)
        if known is None:
            assert story.kind.startswith("incoming")
            assert true.end is not None
        elif true.end is None:
            # Media that were dropped and are offered again may have been merged into media that never stopped.
            again = {slot for slot, state in true.live if state == "offered" and true.state == "connected"}
            assert known.but(again) == true.but(again)
        else:
            if known.inferred:
                continue
            # Of what was merged away, whether the call was held before its end and whose doing that was cannot be told.
            assert known.end is not None
            by = known.end[1] if known.end[1] != EndedBy.UNKNOWN else true.end[1]
            # One that was refused may have been found out by a read, which says nothing of an answer.
            answered = true.answered if known.answered is None else known.answered
            told_of = replace(known, held=None, answered=answered, end=(known.end[0], by))
            assert told_of == replace(true, held=None)
    return found == {}


def one_or_two() -> st.SearchStrategy[list[Story]]:
    return st.one_of(st.tuples(stories(1)), st.tuples(stories(1), stories(2))).map(list)


@hunting
@given(one_or_two(), st.data())
def test_calls_come_to_the_same_however_their_events_are_packed_merged_and_ordered(told, data):
    steps = data.draw(deliveries(told, replays=False))

    assert the_same(told, delivered(told, steps))


@hunting
@given(one_or_two(), st.data())
def test_calls_come_to_the_same_where_events_come_without_their_resources(told, data):
    steps = data.draw(deliveries(told, replays=False))

    assert the_same(told, delivered(told, steps, embeds=False))


@hunting
@given(one_or_two(), st.data())
def test_calls_come_to_the_same_where_events_are_told_again(told, data):
    steps = data.draw(deliveries(told, replays=True))

    assert the_same(told, delivered(told, steps))


@hunting
@given(one_or_two(), st.data())
def test_no_call_is_left_open_where_events_are_lost(told, data):
    steps = data.draw(deliveries(told, replays=False))
    begin = data.draw(st.integers(0, len(steps)))
    until = data.draw(st.integers(begin, len(steps)))
    silent = [replace(step, events=()) for step in steps[begin:until]]

    found = delivered(told, [*steps[:begin], *silent, Step((), (), "resync"), Step(()), *steps[until:]])

    for story in told:
        true, known = truth(story), found.get(f"/c{story.number}")
        if known is None:
            assert story.kind.startswith("incoming"), "what was dialled is never lost"
            continue
        assert (known.state, known.end is None) == (true.state, true.end is None)
        # What was offered meanwhile, and by which invitation, no read tells.
        assert set(known.live) ^ set(true.live) <= {(slot, "offered") for slot in ("audio", "video", "phoneAudio")}
        assert known.held == true.held or true.state == "ended"
