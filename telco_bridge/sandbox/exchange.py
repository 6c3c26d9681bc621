"""A simulated phone network: parties ring, answer, refuse and hang up, and nothing leaves the process."""

from __future__ import annotations

import itertools
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from ..clock import SystemClock
from ..media import Modality
from .clock import NetworkClock, SteppedClock, Timer
from .faults import Fault, Faults
from .numbers import SPEAKS, Behaviour, lookup, normalize
from .voices import Ear, Voice

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Clearing", "Exchange", "Leg", "LegEvent", "LegState", "Side"]

AUDIO = frozenset({Modality.AUDIO})
_CLEARED_KEPT = 100


class LegState(StrEnum):
    """How far a call through the network has come."""

    TRYING = "trying"
    RINGING = "ringing"
    UP = "up"
    DOWN = "down"


class Side(StrEnum):
    """Who did something to a call."""

    CALLER = "caller"
    CALLEE = "callee"
    NETWORK = "network"


class LegEvent(StrEnum):
    """What a watcher of a call is told."""

    RINGING = "ringing"
    ANSWERED = "answered"
    MEDIA = "media"
    """The set of modalities changed."""
    HELD = "held"
    MUTED = "muted"
    DIGITS = "digits"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Clearing:
    """Why the network cleared a call: a SIP status, its phrase, and whose doing it was. 200 is an ordinary hang-up."""

    sip: int
    phrase: str
    by: Side


Watcher = Callable[["Leg", LegEvent], None]


class Leg:
    """One call through the network, between a caller and a callee.

    A platform (an emulator, or the simulator) holds the leg of its own side and is told by its watcher what the far
    side and the network do. Watchers run in the network's thread and must return at once.
    """

    def __init__(
        self,
        exchange: Exchange,
        number: int,
        caller: str,
        callee: str,
        media: frozenset[Modality],
        ours: Side,
        voice: Voice,
    ) -> None:
        self._exchange = exchange
        self.id = f"leg-{number}"
        self.caller = caller
        self.callee = callee
        self.ours = ours
        """The side that the platform holds."""
        self.state = LegState.TRYING
        self.media = media
        self.held = False
        self.muted = False
        self.answered = False
        self.clearing: Clearing | None = None
        self.digits: list[tuple[Side, str]] = []
        self.voice = voice
        """What the far end says from the answer on."""
        self.ear = Ear()
        """What the far end has heard."""
        self.answered_at: float | None = None
        """When the voice began, by the exchange's `media_now()`; None before the answer."""
        self.watcher: Watcher | None = None
        self._timers: list[Timer] = []

    def __repr__(self) -> str:
        return f"<Leg {self.id} {self.caller} to {self.callee}: {self.state}>"

    @property
    def far(self) -> Side:
        """The side that the platform does not hold."""
        return Side.CALLEE if self.ours is Side.CALLER else Side.CALLER

    def ring(self) -> None:
        """The callee rings."""
        with self._exchange.lock:
            if self.state is LegState.TRYING:
                self.state = LegState.RINGING
                self._tell(LegEvent.RINGING)

    def answer(self, media: frozenset[Modality] | None = None) -> None:
        """The callee answers, with these of the offered modalities (all of them by default)."""
        with self._exchange.lock:
            if self.state in (LegState.TRYING, LegState.RINGING):
                self.state = LegState.UP
                self.answered = True
                self.answered_at = self._exchange.media_now()
                if media is not None:
                    self.media &= media
                self._tell(LegEvent.ANSWERED)

    def refuse(self, sip: int, phrase: str, *, by: Side = Side.CALLEE) -> None:
        """The call is refused, by the callee or the network."""
        with self._exchange.lock:
            if self.state in (LegState.TRYING, LegState.RINGING):
                self._clear(Clearing(sip, phrase, by))

    def hang_up(self, *, by: Side) -> None:
        """One side hangs up; before the answer this cancels the attempt (487)."""
        with self._exchange.lock:
            if self.state is LegState.UP:
                self._clear(Clearing(200, "OK", by))
            elif self.state is not LegState.DOWN:
                self._clear(Clearing(487, "Request Terminated", by))

    def set_media(self, media: frozenset[Modality], *, why: str | None = None) -> None:
        """The sides agree on other media. An empty set leaves the call up, silent. `why` is the platform's reason."""
        with self._exchange.lock:
            if self.state is LegState.UP and media != self.media:
                if why is not None and not self.media <= media:
                    self._exchange.stop_reasons.append(why)
                self.media = media
                self._tell(LegEvent.MEDIA)

    def set_held(self, held: bool) -> None:  # noqa: FBT001 - the value is the message
        """The platform puts the far end on hold, or takes it back."""
        with self._exchange.lock:
            if self.state is LegState.UP and held != self.held:
                self.held = held
                self._tell(LegEvent.HELD)

    def set_muted(self, muted: bool) -> None:  # noqa: FBT001 - the value is the message
        """The platform lets the far end hear nothing, or hear again."""
        with self._exchange.lock:
            if self.state is LegState.UP and muted != self.muted:
                self.muted = muted
                self._tell(LegEvent.MUTED)

    def press(self, digits: str, *, by: Side) -> None:
        """One side presses keys."""
        with self._exchange.lock:
            if self.state is LegState.UP:
                self.digits.append((by, digits))
                self._tell(LegEvent.DIGITS)

    def speech(self, since: float, start: int, count: int, *, rate: int) -> bytes:
        """What the far end says: `count` samples of PCM16 from the sample `start` on, counted from an instant.

        The instant is one of the exchange's `media_now()`. Silence where the far end has not answered by then.
        """
        answered = self.answered_at
        if answered is None:
            return bytes(2 * count)
        at = start + round((since - answered) * rate)
        if at < 0:
            return bytes(2 * min(count, -at)) + self.voice.pcm(0, max(0, count + at), rate)
        return self.voice.pcm(at, count, rate)

    def play(self, pcm: bytes, *, rate: int, at: float) -> None:
        """The platform lets the far end hear PCM16 from that instant on: on hold, muted or cleared it hears nothing."""
        if self.state is LegState.UP and not self.held and not self.muted:
            self.ear.hear(pcm, rate=rate, at=at)

    def _clear(self, clearing: Clearing) -> None:
        self.state = LegState.DOWN
        self.clearing = clearing
        for timer in self._timers:
            timer.cancel()
        self._exchange.retire(self)
        self._tell(LegEvent.CLEARED)

    def _tell(self, event: LegEvent) -> None:
        self._exchange.history.append((self._exchange.now(), self.id, event))
        if self.watcher is not None:
            self.watcher(self, event)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run the action that many network seconds from now, unless the call is cleared before."""
        self._timers.append(self._exchange.after(seconds, action))


class Exchange:
    """The network. Enter it (`with Exchange() as exchange:`) to let its time run.

    `speed` makes its time run faster than the machine's; a `SteppedClock` instead makes it stand still between steps.
    Audio alone keeps to real time at any speed, as nobody could hear it otherwise; with a `SteppedClock` it keeps to
    that. A `name` lets configuration files refer to it for as long as it is open. `voice` is what the number that
    speaks says. All methods may be called from any thread.
    """

    _named: ClassVar[weakref.WeakValueDictionary[str, Exchange]] = weakref.WeakValueDictionary()

    def __init__(
        self,
        *,
        name: str | None = None,
        speed: float = 1.0,
        clock: SteppedClock | None = None,
        no_answer_after: float = 180.0,
        voice: Voice | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.voice = voice
        self.clock: NetworkClock | SteppedClock = clock if clock is not None else NetworkClock(speed)
        self.no_answer_after = no_answer_after
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.lock = threading.RLock()
        self.legs: dict[str, Leg] = {}
        """The calls that are not cleared, by their ids."""
        self.history: list[tuple[float, str, LegEvent]] = []
        self.stop_reasons: list[str] = []
        """Why platforms took media out of calls, in their own words, in order."""
        self.faults = Faults(
            frozenset(
                {
                    Fault.LOSE_EVENT,
                    Fault.DOUBLE_EVENT,
                    Fault.REORDER_EVENTS,
                    Fault.EVENT_BEFORE_ANSWER,
                    Fault.UNKNOWN_STATE,
                    Fault.DROP_REQUEST,
                    Fault.DROP_ANSWER,
                    Fault.DROP_STREAM,
                }
            )
        )
        """What the simulator provider, which has no wire, is told to suffer."""
        self._numbers = itertools.count(1)
        self._cleared: deque[Leg] = deque(maxlen=_CLEARED_KEPT)
        self._real_time = SystemClock()
        self._platforms: dict[str, Callable[[Leg], None]] = {}
        self._directory: dict[str, Behaviour] = {}

    def __enter__(self) -> Self:
        if self.name is not None:
            if self.name in Exchange._named:
                raise ValueError(f"an exchange named {self.name!r} is open already")
            Exchange._named[self.name] = self
        self.clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clock.stop()
        if self.name is not None and Exchange._named.get(self.name) is self:
            del Exchange._named[self.name]

    @classmethod
    def named(cls, name: str) -> Exchange | None:
        """The open exchange of that name in this process, or None."""
        return cls._named.get(name)

    def now(self) -> float:
        """The network's time in seconds."""
        return self.clock.now()

    @property
    def stepped(self) -> bool:
        """Whether time stands still between steps, for audio too."""
        return isinstance(self.clock, SteppedClock)

    def media_now(self) -> float:
        """The time that audio keeps to, in seconds: the machine's, or the stepped clock's."""
        return self.clock.now() if self.stepped else self._real_time.now()

    @property
    def cleared(self) -> tuple[Leg, ...]:
        """The latest hundred calls that were cleared, in order."""
        with self.lock:
            return tuple(self._cleared)

    def retire(self, leg: Leg) -> None:
        """A call is cleared."""
        with self.lock:
            if self.legs.pop(leg.id, None) is not None:
                self._cleared.append(leg)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run the action that many network seconds from now, under the network's lock."""

        def run() -> None:
            with self.lock:
                if not timer.cancelled:
                    action()

        with self.lock:
            # Whatever is due at once waits for the lock, and so for the name of its timer.
            timer = self.clock.call_at(self.now() + seconds, run)
        return timer

    def set_behaviour(self, address: str, behaviour: Behaviour) -> None:
        """Let an address behave otherwise than the directory says, in this network."""
        self._directory[normalize(address)] = behaviour

    def behaviour(self, address: str) -> Behaviour:
        """What that address does when it is called."""
        known = self._directory.get(normalize(address)) or lookup(address)
        return replace(known, voice=self.voice) if known is SPEAKS and self.voice is not None else known

    def call(self, *, caller: str, callee: str, media: frozenset[Modality] = AUDIO, watcher: Watcher) -> Leg:
        """A platform calls somebody. The watcher is told what happens; nothing is told before this returns."""
        with self.lock:
            leg = self._leg(caller, callee, media, Side.CALLER)
            leg.watcher = watcher
            self._play(leg, self.behaviour(callee))
            return leg

    def register(self, address: str, incoming: Callable[[Leg], None]) -> None:
        """A platform owns an address: `incoming` is told of calls to it and sets the leg's `watcher`."""
        self._platforms[normalize(address)] = incoming

    def forget(self, address: str) -> None:
        """No platform owns the address any more, and it behaves as the directory says."""
        self._platforms.pop(normalize(address), None)
        self._directory.pop(normalize(address), None)

    def call_in(self, *, caller: str, callee: str, media: frozenset[Modality] = AUDIO) -> Leg:
        """A party calls an address that a platform owns. The leg is the platform's; its far side is the caller."""
        with self.lock:
            leg = self._leg(caller, callee, media, Side.CALLEE)
            incoming = self._platforms.get(normalize(callee))
            if incoming is None:
                leg.later(0.0, lambda: leg.refuse(404, "Not Found", by=Side.NETWORK))
            else:
                incoming(leg)
            return leg

    def _leg(self, caller: str, callee: str, media: frozenset[Modality], ours: Side) -> Leg:
        voice = self.behaviour(callee if ours is Side.CALLER else caller).voice
        leg = Leg(self, next(self._numbers), caller, callee, media, ours, voice)
        self.legs[leg.id] = leg
        return leg

    def _play(self, leg: Leg, party: Behaviour) -> None:
        """Set the timers that make the callee behave."""
        later = leg.later
        if party.rings_after is None:
            if party.refuses is not None:
                sip, phrase = party.refuses
                by = Side.NETWORK if sip == 404 else Side.CALLEE
                later(party.refuses_after, lambda: leg.refuse(sip, phrase, by=by))
            return
        later(party.rings_after, leg.ring)
        if party.refuses is not None:
            sip, phrase = party.refuses
            later(party.rings_after + party.refuses_after, lambda: leg.refuse(sip, phrase))
        elif party.answers_after is not None:
            taken = frozenset({Modality.AUDIO, Modality.VIDEO}) if party.video else AUDIO
            answered = party.rings_after + party.answers_after
            later(answered, lambda: leg.answer(taken))
            if party.hangs_up_after is not None:
                later(answered + party.hangs_up_after, lambda: leg.hang_up(by=Side.CALLEE))
        else:
            unanswered = party.rings_after + self.no_answer_after
            later(unanswered, lambda: leg.refuse(480, "Temporarily Unavailable", by=Side.NETWORK))
