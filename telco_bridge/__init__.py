"""One way to control phone calls on any phone system.

    async with connect("telco.toml") as bridge:
        async with await bridge.dial("+15550100") as call:
            await call.answered()
            await call.stop(Modality.AUDIO, reason=TerminationReason.NORMAL)

`connect` reads which provider to use; everything else is the same on all of them.
"""

from .bridge import Bridge, Health, connect
from .call import Call, MediaStream, StopResult
from .capabilities import Capability, Support, SupportLevel
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
    StreamActive,
    StreamEnded,
    StreamStarting,
)
from .media import MediaDirection, Modality, StreamId, StreamState, Transport
from .reports import CallDirection, CallState, Party, Source
from .termination import Confidence, EndedBy, Outcome, Phase, Retry, Scope, Termination, TerminationReason
from .views import Asked, CallView, StreamView

__version__ = "0.1.0"

__all__ = [
    "Asked",
    "AuthenticationFailed",
    "Bridge",
    "Call",
    "CallConnected",
    "CallDirection",
    "CallEnded",
    "CallEvent",
    "CallHeld",
    "CallIncoming",
    "CallMoved",
    "CallProgressed",
    "CallResumed",
    "CallState",
    "CallUpdated",
    "CallView",
    "Capability",
    "ChannelFailed",
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
