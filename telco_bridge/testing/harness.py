"""What a plugin's author supplies to the kit: far ends, trouble and a look at the network, in telephony's words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypedDict

from .. import _discovery
from ..clock import Clock
from ..config import TABLES
from ..media import Modality
from ..provider import Capability, Command, ProviderPlugin

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ..bridge import Bridge
    from ..call import Call

__all__ = ["Caller", "FarEnd", "Harness", "StartOptions", "Trouble"]


class FarEnd(StrEnum):
    """How a called party behaves."""

    ANSWERS = "answers"
    """Rings, answers after a moment and stays."""
    ANSWERS_WITH_VIDEO = "answers_with_video"
    """The same, with every modality that is offered. Needed where the application can offer video."""
    SPEAKS = "speaks"
    """Rings, answers, and says something. Needed where audio comes to the application."""
    HANGS_UP = "hangs_up"
    """Rings, answers, and hangs up a moment later."""
    RINGS = "rings"
    """Rings and never answers."""
    BUSY = "busy"
    DECLINES = "declines"
    """Rings, and then refuses."""
    UNALLOCATED = "unallocated"
    """Is a number that nobody has."""


class Trouble(StrEnum):
    """What can go wrong between a bridge and its provider."""

    REQUEST_LOST = "request_lost"
    """A command does not get there; nothing is done."""
    ANSWER_LOST = "answer_lost"
    """A command is carried out, and its answer never arrives."""
    ANSWER_GARBLED = "answer_garbled"
    """A command is carried out, and its answer cannot be read."""
    RATE_LIMITED = "rate_limited"
    """A command is refused because there were too many; the next one may pass at once."""
    EVENTS_LOST = "events_lost"
    """What the provider tells by itself does not arrive."""
    EVENTS_DOUBLED = "events_doubled"
    EVENTS_DISORDERED = "events_disordered"
    EVENT_EARLY = "event_early"
    """What a command causes is told before the command is answered."""
    EVENT_FORGED = "event_forged"
    """Somebody else tells what only the provider could."""
    MEDIA_BROKEN = "media_broken"
    """The way of the audio between the provider and the application breaks."""
    STATE_UNKNOWN = "state_unknown"
    """A state is told with a word that nobody has documented."""


class StartOptions(TypedDict, total=False):
    """What `Call.start` needs beside the modality."""

    to: str
    offer: str


class Caller(Protocol):
    """A party that calls one of the bridge's numbers."""

    async def hang_up(self) -> None:
        """Give up, or end the call."""
        ...


class Harness(ABC):
    """A provider as the kit meets it. `begin` is called before every test, so one harness may serve a whole class.

    Every `Trouble` must be makeable, or stand in `impossible` with the reason why this provider cannot meet it, which
    goes into the certificate.
    """

    patience: float = 15.0
    """Seconds within which any promise must be kept."""
    lifecycle: Mapping[str, float] = {
        "confirm_timeout": 4.0,
        "close_timeout": 4.0,
        "cause_grace": 0.5,
        "reads_per_second": 50.0,
    }
    """The bridge's own settings in these tests: impatient, so that a broken promise shows soon."""
    clock: Clock | None = None
    """The time that the bridge lives by in these tests; None is the machine's."""
    impossible: Mapping[Trouble, str] = {}
    """The troubles that this provider cannot meet, each with the reason."""
    lacks: Mapping[Capability, str] = {}
    """What this set-up cannot do although the provider can, each with the reason."""
    offer: str | None = None
    """An SDP body with audio and video, for providers where the application brings the media."""
    ends_with_last_stream: bool = False
    """Whether the provider ends a call that has no media left."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, object]:
        """The settings of a bridge to the provider, as for `telco_bridge.connect`."""

    @abstractmethod
    def address(self, far_end: FarEnd) -> str:
        """Return an address that behaves like that when it is called."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a test: no trouble is left to be made, no call is left up, and everything is counted from here."""

    @abstractmethod
    def placed(self) -> int:
        """How many calls the provider has placed in the network in this test."""

    @abstractmethod
    def up(self) -> int:
        """How many of the provider's calls ring or are up in the network now."""

    @abstractmethod
    def sent(self) -> int:
        """How many requests that change something the provider has received in this test."""

    @abstractmethod
    async def inject(self, trouble: Trouble, *, on: type[Command] | None = None, times: int | None = 1) -> None:
        """Make that trouble the next so many times (None: always), for requests only on that command."""

    @abstractmethod
    async def calm(self) -> None:
        """Make no more trouble."""

    def unmade(self) -> Collection[Trouble]:
        """Return the troubles that were injected in this test and have not been made once, where that is known.

        A promise that was checked without the trouble that it is about proves nothing, and counts as broken.
        """
        return ()

    @property
    def title(self) -> str:
        """What reports and the certificate call this set-up."""
        return self.plugin.name

    @property
    def plugin(self) -> ProviderPlugin[BaseModel]:
        """The plugin under test. Raises `PluginError` where it cannot be used."""
        provider = self.settings["provider"]
        if isinstance(provider, str):
            return _discovery.load(provider)
        return _discovery.check(provider, name=None, origin="the provider of the harness")

    @property
    def options(self) -> BaseModel:
        """The settings that belong to the plugin, as its own model."""
        core = ("provider", *TABLES)
        own = {name: value for name, value in self.settings.items() if name not in core}
        return self.plugin.config_model.model_validate(own)

    def start(self, modality: Modality) -> StartOptions:
        """Return what a start of that modality needs: `to`, or `offer`."""
        without = (Modality.AUDIO, Modality.MESSAGING)
        return {} if self.offer is None or modality in without else {"offer": self.offer}

    def nowhere(self) -> Mapping[str, object] | None:
        """Return settings that lead to nobody; None where the provider cannot be unreachable."""
        return None

    async def enable(self, capability: Capability, bridge: Bridge, call: Call) -> None:  # noqa: B027 - few need it
        """Bring an answered call to where the capability is possible, for providers where that takes more than a call.

        A provider may, for example, mute nobody outside of a conference.
        """

    async def call_in(self) -> Caller:
        """Let somebody call one of the bridge's numbers. Needed by level inbound."""
        raise NotImplementedError(f"{type(self).__name__}.call_in: let somebody call one of the bridge's numbers")

    async def press(self, call: Call, digits: str) -> None:
        """Let the far end of the call press keys. Needed where digits are heard."""
        raise NotImplementedError(f"{type(self).__name__}.press: let the far end press keys")

    def stop_reasons(self) -> Sequence[str]:
        """Return the reasons, in the provider's words, with which media were stopped in this test, in order.

        Needed where the reason of a stop travels.
        """
        raise NotImplementedError(f"{type(self).__name__}.stop_reasons: return the reasons that the provider was given")

    def listened(self, call: Call) -> bytes | None:
        """Return what the far end has heard since its answer, as PCM16 at 8 kHz; None where nobody can tell."""
        return None

    def heard(self, call: Call) -> str:
        """Return the digits that the far end of the call has heard. Needed where digits can be sent."""
        raise NotImplementedError(f"{type(self).__name__}.heard: return the digits that the far end has heard")
