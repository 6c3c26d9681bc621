"""What the demo plays, and what each scene promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from ..bridge import Bridge
from ..call import Call
from ..capabilities import Capability
from ..errors import NotAnswered
from ..events import CallEnded
from ..media import Modality
from ..sandbox import WireLog
from ..termination import EndedBy, TerminationReason
from .examples import Application

__all__ = ["Broken", "Scenario", "Stage", "scenarios"]


class Broken(Exception):
    """The scene did not go as it promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a scene is played: a provider's bridge, a place for words, and the wire where there is one."""

    bridge: Bridge
    say: Callable[[str], None]
    wire: WireLog | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One call, the same on every provider that can do what it `needs`, and how it has to end.

    `play` returns what a stop left, in words, or nothing. UNKNOWN is always allowed for `by`: not every provider says.
    """

    title: str
    what: str
    play: Callable[[Stage], Awaitable[str]]
    reason: TerminationReason
    by: EndedBy | None = None
    needs: tuple[Capability, ...] = (Capability.DIAL,)


def scenarios(application: Application) -> tuple[Scenario, ...]:
    """Return every scene, that of the application first."""
    video = (Capability.DIAL_OFFER, Capability.STOP_AUDIO, Capability.STOP_VIDEO)
    normal, ours = TerminationReason.NORMAL, EndedBy.APPLICATION
    audio_only, video_only = frozenset({Modality.AUDIO}), frozenset({Modality.VIDEO})
    return (
        Scenario(
            title="stop audio",
            what="examples/stop_audio.py, unchanged, on every provider",
            play=partial(_application, application),
            reason=normal,
            by=ours,
            needs=(Capability.DIAL, Capability.START_AUDIO, Capability.STOP_AUDIO),
        ),
        _dial("busy", "+15550101", TerminationReason.BUSY),
        _dial("declined", "+15550102", TerminationReason.REJECTED),
        _dial("no answer", "+15550103", TerminationReason.NO_ANSWER),
        _dial("remote hang-up", "+15550104", normal, EndedBy.REMOTE),
        _dial("unallocated", "+15550105", TerminationReason.UNALLOCATED_NUMBER),
        Scenario(
            title="video: stop audio",
            what=f"{_VIDEO_PARTY}: the video has to stay",
            play=partial(_video, stop=audio_only, stays=video_only),
            reason=normal,
            by=ours,
            needs=video,
        ),
        Scenario(
            title="video: stop video",
            what=f"{_VIDEO_PARTY}: the audio has to stay",
            play=partial(_video, stop=video_only, stays=audio_only),
            reason=normal,
            by=ours,
            needs=video,
        ),
        Scenario(
            title="video: stop both",
            what=f"{_VIDEO_PARTY}: in one request",
            play=partial(_video, stop=audio_only | video_only, stays=frozenset[Modality]()),
            reason=normal,
            by=ours,
            needs=video,
        ),
    )


def _dial(title: str, to: str, reason: TerminationReason, by: EndedBy | None = None) -> Scenario:
    return Scenario(title=title, what=f"dial {to}", play=partial(_wait, to=to), reason=reason, by=by)


async def _application(application: Application, stage: Stage) -> str:
    """Run the example, and look in the log whether it was the hang-up that ended its call, or the stop before it."""
    why = await application(stage.bridge, say=stage.say)
    async for event in stage.bridge.events(since=0):
        if isinstance(event, CallEnded) and event.termination == why:
            return _LIVES if event.call.asked_to_end is not None else _DIED
    raise Broken("the bridge was closed before the call had ended")


async def _wait(stage: Stage, *, to: str) -> str:
    """Dial, and let the far end and the network decide."""
    stage.say(f"dial {to}")
    async with await stage.bridge.dial(to, ring_timeout=_RING_TIMEOUT) as call:
        try:
            await call.answered()
            stage.say("answered, now wait")
        except NotAnswered as why:
            stage.say(f"not answered: {why.termination.reason}".replace("_", " "))
        await call.ended()
    return ""


async def _video(stage: Stage, *, stop: frozenset[Modality], stays: frozenset[Modality]) -> str:
    """Call somebody with video, stop some of the media, and look that nothing else ended."""
    both = {Modality.AUDIO, Modality.VIDEO}
    stage.say(f"dial {_VIDEO_PARTY}")
    async with await stage.bridge.dial(_VIDEO_PARTY, modalities=both, offer=_OFFER) as call:
        await call.answered()
        await call.until(lambda view: _active(call) >= both or view.over)
        before = _stops(stage.wire)
        stage.say(f"stop {' and '.join(sorted(stop))}")
        await call.stop(*sorted(stop), note="the demo stops it")
        requests = _stops(stage.wire) - before
        left = _active(call)
        if left != stays:
            raise Broken(f"{_words(left)} left, and {_words(stays)} was to stay")
        if stage.wire is not None and requests != 1:
            raise Broken(f"{requests} requests stopped {_words(stop)}")
        over = call.state == "ended"
        stage.say(f"{_words(left)} left, call {call.state}")
        await call.hangup(note="the demo is done")
        await call.ended()
    return _DIED if over else f"the call, with {_words(left)}" if left else _LIVES


def _active(call: Call) -> frozenset[Modality]:
    return frozenset(stream.modality for stream in call.view.live_streams if stream.state == "active")


def _stops(wire: WireLog | None) -> int:
    return len(wire.records(sent_by="bridge", containing="stop")) if wire is not None else 0


def _words(modalities: frozenset[Modality]) -> str:
    return " and ".join(sorted(modalities)) or "nothing"


_RING_TIMEOUT = 2.0
_LIVES = "the call, no stream"
_DIED = "nothing, the call ended"
_VIDEO_PARTY = "sip:video@sandbox.test"

_OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=session
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/SAVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv
m=video 40002 RTP/SAVP 122
a=rtpmap:122 X-H264UC/90000
a=sendrecv
""".replace("\n", "\r\n")
"""Audio and video of nobody's: the emulated far end takes it, and no media flow."""
