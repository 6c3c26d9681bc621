"""One way to control phone calls on any phone system.

    async with connect("telco.toml") as bridge:
        async with await bridge.dial("+15550100") as call:
            await call.answered()
            await call.stop(Modality.AUDIO, reason=TerminationReason.NORMAL)

`connect` reads which provider to use; everything else is the same on all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._connect import connect
    from .bridge import Bridge, Health
    from .call import Call
    from .callaudio import CallAudio
    from .callrecording import CallRecording
    from .capabilities import Capability, Support, SupportLevel
    from .commands import Channels
    from .errors import (
        AuthenticationFailed,
        ConfigError,
        NotAnswered,
        NotPossibleNow,
        OutcomeUnknown,
        PluginConflict,
        PluginContractError,
        PluginError,
        PluginLoadError,
        PluginNotFound,
        ProviderError,
        RateLimited,
        Refused,
        TelcoBridgeError,
        Unreachable,
        Unsupported,
    )
    from .events import (
        CallConnected,
        CallEnded,
        CallEvent,
        CallHeld,
        CallIncoming,
        CallMoved,
        CallProgressed,
        CallResumed,
        CallUpdated,
        ChannelFailed,
        CommandFailedLater,
        DigitReceived,
        EndContradicted,
        Event,
        GapDetected,
        OfferReceived,
        RecordingChanged,
        StreamActive,
        StreamEnded,
        StreamStarting,
    )
    from .media import MediaDirection, Modality, RecordingState, StreamId, StreamState, Transport
    from .mediastream import MediaStream, StopResult
    from .recordings import Recording
    from .reports import CallDirection, CallState, Party, Source
    from .termination import Confidence, EndedBy, Outcome, Phase, Retry, Scope, Termination, TerminationReason
    from .views import Asked, CallView, RecordingView, StreamView

__version__ = "0.1.0"

__all__ = [
    "Asked",
    "AuthenticationFailed",
    "Bridge",
    "Call",
    "CallAudio",
    "CallConnected",
    "CallDirection",
    "CallEnded",
    "CallEvent",
    "CallHeld",
    "CallIncoming",
    "CallMoved",
    "CallProgressed",
    "CallRecording",
    "CallResumed",
    "CallState",
    "CallUpdated",
    "CallView",
    "Capability",
    "ChannelFailed",
    "Channels",
    "CommandFailedLater",
    "Confidence",
    "ConfigError",
    "DigitReceived",
    "EndContradicted",
    "EndedBy",
    "Event",
    "GapDetected",
    "Health",
    "MediaDirection",
    "MediaStream",
    "Modality",
    "NotAnswered",
    "NotPossibleNow",
    "OfferReceived",
    "Outcome",
    "OutcomeUnknown",
    "Party",
    "Phase",
    "PluginConflict",
    "PluginContractError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFound",
    "ProviderError",
    "RateLimited",
    "Recording",
    "RecordingChanged",
    "RecordingState",
    "RecordingView",
    "Refused",
    "Retry",
    "Scope",
    "Source",
    "StopResult",
    "StreamActive",
    "StreamEnded",
    "StreamId",
    "StreamStarting",
    "StreamState",
    "StreamView",
    "Support",
    "SupportLevel",
    "TelcoBridgeError",
    "Termination",
    "TerminationReason",
    "Transport",
    "Unreachable",
    "Unsupported",
    "connect",
]

_HOMES = {
    "_connect": ("connect",),
    "bridge": ("Bridge", "Health"),
    "call": ("Call",),
    "commands": ("Channels",),
    "mediastream": ("MediaStream", "StopResult"),
    "recordings": ("Recording",),
    "callaudio": ("CallAudio",),
    "callrecording": ("CallRecording",),
    "capabilities": ("Capability", "Support", "SupportLevel"),
    "errors": (
        "AuthenticationFailed",
        "ConfigError",
        "NotAnswered",
        "NotPossibleNow",
        "OutcomeUnknown",
        "PluginConflict",
        "PluginContractError",
        "PluginError",
        "PluginLoadError",
        "PluginNotFound",
        "ProviderError",
        "RateLimited",
        "Refused",
        "TelcoBridgeError",
        "Unreachable",
        "Unsupported",
    ),
    "events": (
        "CallConnected",
        "CallEnded",
        "CallEvent",
        "CallHeld",
        "CallIncoming",
        "CallMoved",
        "CallProgressed",
        "CallResumed",
        "CallUpdated",
        "ChannelFailed",
        "CommandFailedLater",
        "DigitReceived",
        "EndContradicted",
        "Event",
        "GapDetected",
        "OfferReceived",
        "RecordingChanged",
        "StreamActive",
        "StreamEnded",
        "StreamStarting",
    ),
    "media": ("MediaDirection", "Modality", "RecordingState", "StreamId", "StreamState", "Transport"),
    "reports": ("CallDirection", "CallState", "Party", "Source"),
    "termination": ("Confidence", "EndedBy", "Outcome", "Phase", "Retry", "Scope", "Termination", "TerminationReason"),
    "views": ("Asked", "CallView", "RecordingView", "StreamView"),
}
"""Where each public name lives. A name is imported when it is first asked for: importing the library stays cheap."""


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
