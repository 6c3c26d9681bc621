"""The contract of a provider plugin: commands down, reports up.

A plugin is a translator and nothing else. It turns a `Command` into its wire, and what it hears on its wire into
`CallReport`s. It may cache protocol resources; it holds no beliefs about calls, retries nothing that could act twice,
and verifies nothing: the core does.

A distribution offers a provider through an entry point of the group `telco_bridge`, whose name is the provider's name
and whose value is a module with the one hook:

    from telco_bridge.provider import ProviderPlugin, hookimpl

    @hookimpl
    def telco_bridge_provider() -> ProviderPlugin[AcmeConfig]:
        return ProviderPlugin(name="acme", config_model=AcmeConfig, support=..., explain=..., possible=..., connect=...)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from .audio.formats import AudioFormat, Encoding
from .audio.port import MediaLine, MediaPort
from .audio.wire import (
    Clear,
    MediaEndpoint,
    MediaFact,
    MediaHeard,
    MediaOpened,
    MediaOrder,
    MediaReply,
    MediaStopped,
    MediaWire,
    PlayAudio,
    PlayMark,
    PressDigit,
    ReachedMark,
    RemoteDigit,
    Track,
    Unintelligible,
)
from .capabilities import Capability, Support, SupportLevel
from .clock import Clock, SystemClock, happens_by
from .commands import (
    Answer,
    Channels,
    Command,
    Dial,
    HangUp,
    Hold,
    Mute,
    PauseRecording,
    Play,
    Redirect,
    Reject,
    Resume,
    ResumeRecording,
    Say,
    SendDigits,
    StartMedia,
    StartRecording,
    StopMedia,
    StopRecording,
    StreamTarget,
    Transfer,
    Unmute,
)
from .errors import AuthenticationFailed, ConfigError, ProviderError, RateLimited, Refused, Unreachable, Unsupported
from .media import MediaDirection, Modality, RecordingState, StreamId, StreamState, Transport
from .reports import (
    CallDirection,
    CallReport,
    CallState,
    CommandDone,
    CommandFailed,
    Continues,
    Dialled,
    DigitHeard,
    Fact,
    Gap,
    Invitation,
    Notice,
    Origin,
    Party,
    RecordingReport,
    RemoteOffer,
    Source,
    StreamReport,
)
from .termination import Cause, Confidence, EndedBy, Phase, Scope, Termination, TerminationReason
from .views import Asked, CallView, RecordingView, StreamView

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel
    from typer import Typer

    from .sandbox.emulator import Emulator
    from .sandbox.exchange import Exchange

__all__ = [
    "CONTRACT",
    "Answer",
    "AnswerLost",
    "Asked",
    "AudioFormat",
    "AuthenticationFailed",
    "CallDirection",
    "CallList",
    "CallReport",
    "CallState",
    "CallView",
    "Capability",
    "Capture",
    "Cause",
    "Channels",
    "Clear",
    "Clock",
    "Command",
    "CommandDone",
    "CommandFailed",
    "Confidence",
    "ConfigError",
    "Continues",
    "Diagnosis",
    "Dial",
    "Dialled",
    "DigitHeard",
    "Encoding",
    "EndedBy",
    "Fact",
    "Finding",
    "Gap",
    "Gone",
    "HangUp",
    "Hold",
    "Host",
    "Invitation",
    "MediaDirection",
    "MediaEndpoint",
    "MediaFact",
    "MediaHeard",
    "MediaLine",
    "MediaOpened",
    "MediaOrder",
    "MediaPort",
    "MediaReply",
    "MediaStopped",
    "MediaWire",
    "Modality",
    "Mute",
    "NotSent",
    "Notice",
    "Origin",
    "Party",
    "PauseRecording",
    "Phase",
    "Play",
    "PlayAudio",
    "PlayMark",
    "PressDigit",
    "Profile",
    "ProviderError",
    "ProviderPlugin",
    "ProviderSession",
    "RateLimited",
    "ReachedMark",
    "ReadProfile",
    "ReasonRow",
    "RecordingReport",
    "RecordingState",
    "RecordingView",
    "Redirect",
    "Refused",
    "Reject",
    "RemoteDigit",
    "RemoteOffer",
    "Resume",
    "ResumeRecording",
    "Say",
    "Scope",
    "SendDigits",
    "Source",
    "StartMedia",
    "StartRecording",
    "StopMedia",
    "StopRecording",
    "StreamId",
    "StreamReport",
    "StreamState",
    "StreamTarget",
    "StreamView",
    "Support",
    "SupportLevel",
    "SystemClock",
    "Termination",
    "TerminationReason",
    "TooLate",
    "Track",
    "Transfer",
    "Transport",
    "Unintelligible",
    "Unmute",
    "Unreachable",
    "Unsupported",
    "WebRequest",
    "WebResponse",
    "happens_by",
    "hookimpl",
]

CONTRACT = 1
"""The version of this contract. A new abstract method raises it; a method with a default does not."""

C = TypeVar("C", bound="BaseModel")
C_co = TypeVar("C_co", bound="BaseModel", covariant=True)
C_contra = TypeVar("C_contra", bound="BaseModel", contravariant=True)
F = TypeVar("F", bound=Callable[..., object])


def hookimpl(function: F) -> F:
    """Mark `telco_bridge_provider` as this module's answer to the core."""
    import pluggy

    return pluggy.HookimplMarker("telco_bridge")(function)


class NotSent(ProviderError):
    """The request certainly never left. The core may repeat it."""


class AnswerLost(ProviderError):
    """The request may have been executed; no usable answer came. The core looks for facts and never repeats a dial."""


class TooLate(ProviderError):
    """The provider says that the state no longer allows it. The core reads, and then decides."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A read's answer: the provider does not know that call (any more). `native` says in which words."""

    as_of: float
    native: str = ""


@dataclass(frozen=True, slots=True)
class CallList:
    """The live calls that the provider told of. Absence means something only where the list is `complete`."""

    reports: tuple[CallReport, ...]
    as_of: float
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """A request of the provider's to the bridge's web application.

    `path` is what follows the application's mount point; `url` is the address as the provider used it: the configured
    public URL joined with path and query. Header names are lower-case.
    """

    method: str
    path: str
    query: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WebResponse:
    """What the provider is answered."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Host(Protocol):
    """What the core offers a plugin."""

    @property
    def clock(self) -> Clock:
        """The time that the bridge lives by."""
        ...

    def stamp(self) -> float:
        """The present time in seconds, greater than every stamp given before: the `as_of` of what is sent or heard."""
        ...

    def report(self, *facts: Fact) -> None:
        """Take facts that belong together, in order, at once. Never waits, never raises for what a fact says."""
        ...

    def url(self, path: str, **query: str) -> str | None:
        """The public address of a path of the bridge's web application; None where no public URL is configured."""
        ...

    def media(self, endpoint: MediaEndpoint) -> MediaPort | None:
        """The port of a stream whose media do not come by a WebSocket: once, and None where nobody waits any more."""
        ...


class ProviderSession(ABC):
    """One connection to a provider, for as long as a bridge is open."""

    max_staleness: float | None = None
    """Seconds after which a call must be read again, because nothing arrives by itself; None where events do."""

    tells_done: frozenset[type[Command]] = frozenset()
    """The commands whose end the provider tells: after accepting one of them, `CommandDone` or `CommandFailed` follows.

    For what is said, played, sent as digits, transferred or redirected. Where a command is not named here, nothing more
    is known than that it was accepted.
    """

    native: object = None
    """What the provider can do beyond the neutral words, typed: applications get it from `Bridge.native`."""

    @abstractmethod
    async def execute(self, command: Command) -> None:
        """Send the command; return when the provider has accepted it, after reporting what its answer says.

        Raises a fact: `NotSent`, `AnswerLost`, `TooLate`, `Refused`, `RateLimited`, `AuthenticationFailed`, or
        `Unsupported` for a command (or a part of one) that it does not know. It never waits for the effect.
        """

    def patience(self, command: Command) -> float:
        """Return the seconds that a command which was accepted may take to become a fact, if people must act first.

        Where that is less than `confirm_timeout`, that holds. A start that rings somebody's phone is such a command.
        """
        return 0.0

    @abstractmethod
    async def read(self, ref: str) -> CallReport | Gone:
        """Ask the provider for one call. Raises `ProviderError` where no answer could be had: that proves nothing."""

    async def list_calls(self) -> CallList:
        """Ask the provider for the live calls. The default says that it cannot."""
        raise Unsupported("this provider cannot list calls")

    async def run(self) -> None:
        """Hear events for as long as the session lives. The core restarts it, with pauses, when it raises."""
        await anyio.sleep_forever()

    async def receive(self, request: WebRequest) -> WebResponse:
        """Answer a request of the provider's to the bridge's web application. Check signatures before parsing."""
        return WebResponse(status=404)

    async def read_recording(self, call: str, slot: str) -> RecordingReport | Gone:
        """Ask for one recording of a call. Raises `ProviderError` where no answer could be had."""
        raise Unsupported("this provider makes no recordings")

    def fetch_recording(self, slot: str) -> AsyncGenerator[bytes]:
        """Fetch the file of a recording, in pieces. Raises `ProviderError` where it cannot be had."""
        raise Unsupported("this provider makes no recordings")

    async def delete_recording(self, slot: str) -> None:
        """Delete a recording and its file; what is gone already is no error. Raises `ProviderError`."""
        raise Unsupported("this provider makes no recordings")

    def media(self, opening: WebRequest) -> MediaWire:
        """Return a translator for a media WebSocket of the provider's, whose token the core has checked.

        Called from any thread, and must return at once. The default says that this provider opens none.
        """
        raise Unsupported("this provider opens no media connections")


class Connect(Protocol[C_contra]):
    """Opens a session. Entering it signs in; leaving it signs out, within bounded time."""

    def __call__(self, config: C_contra, host: Host) -> AbstractAsyncContextManager[ProviderSession]: ...


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One line of a plugin's reason tables, for documentation and comparison.

    `outbound` rows are what the provider can be told, all others what it tells. `lossy` says that the native word and
    the neutral one do not mean quite the same. `cause` is what the plugin's decoder makes of the provider's words: for
    an outbound call in its set-up, of which nothing was asked, `explain` turns it into `neutral`. Only outbound rows
    have none.
    """

    dialect: str
    native: str
    neutral: TerminationReason
    outbound: bool = False
    lossy: bool = False
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A request of the provider's that somebody caught, and wants to have explained.

    `request` is what the bridge would make of it, with the configured `public_url` where there is one. `seen` is the
    address at which it was caught, before a proxy or behind it. `signature` was given apart from the headers.
    """

    request: WebRequest
    seen: str
    public_url: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know about a captured request, and what to do about it. Neither holds a secret."""

    fact: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Whether the bridge would accept a captured request, and why not.

    `signed` is the address that the provider has signed, without credentials; None where no variant of the request
    matches its signature. `tried` tells how many there were.
    """

    accepted: bool
    signed: str | None = None
    tried: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Generic[C_co]):
    """The settings of this provider that a command line has chosen, checked, and the bridge's public URL."""

    config: C_co
    public_url: str | None = None


class ReadProfile(Protocol[C_co]):
    """Reads a profile of this provider, from the file that is named, or from where `connect()` looks.

    Raises `ConfigError`, also for a profile of another provider.
    """

    def __call__(self, config: Path | None = None, *, profile: str | None = None) -> Profile[C_co]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPlugin(Generic[C]):
    """Everything the core knows of a provider before it connects.

    `config_model` is a pydantic model with `extra="forbid"` and secrets as `SecretStr`. `explain` translates a raw
    cause, `possible` says what the state allows now; both are pure and total. `together` adds what the state allows
    only at once, such as stopping audio and video of a call that lets neither go alone. `emulator` puts the provider's
    own protocol in front of a simulated network, where the plugin brings one.

    `diagnose` explains why a request's signature did not match, for `telco-bridge doctor webhook`: it tells no key, and
    no signature. `commands` adds what follows `telco-bridge NAME`; it is called only when somebody asks for that.
    """

    name: str
    config_model: type[C]
    support: Mapping[Capability, Support]
    explain: Callable[[Cause, CallView], Termination]
    possible: Callable[[CallView], frozenset[Capability]]
    connect: Connect[C]
    together: Callable[[CallView], Collection[frozenset[Capability]]] | None = None
    reasons: Sequence[ReasonRow] = ()
    emulator: Callable[[Exchange], Emulator] | None = None
    diagnose: Callable[[C, Capture], Diagnosis] | None = None
    commands: Callable[[Typer, ReadProfile[C]], None] | None = None
    contract: int = CONTRACT
