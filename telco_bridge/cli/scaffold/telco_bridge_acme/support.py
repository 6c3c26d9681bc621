"""What Acme can do at all, and what the state of a call allows. Open `encode.py` next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from telco_bridge.provider import CallState, CallView, Capability, Support, SupportLevel

__all__ = ["SUPPORT", "possible"]

_NOT_YET = Support(SupportLevel.NOT_IMPLEMENTED, "This plugin does not offer it yet.")

SUPPORT: Mapping[Capability, Support] = MappingProxyType(
    {
        # Whatever is not named below is refused before anything is sent. Where Acme itself has no way to do it, say
        # `Support(SupportLevel.PROVIDER_CANNOT, "why")`: level full knows nothing that is "not yet".
        **dict.fromkeys(Capability, _NOT_YET),
        Capability.DIAL: Support(SupportLevel.FULL),
        Capability.HANG_UP: Support(SupportLevel.FULL, "Cancels while nobody has answered."),
        Capability.LIST_CALLS: Support(SupportLevel.FULL, "All live calls of the account."),
        # The bridge keeps both by hanging up. Where Acme keeps one itself, send it in `encode.dial` and say FULL here.
        Capability.RING_TIMEOUT: Support(SupportLevel.EMULATED, "The bridge hangs up."),
        Capability.MAX_DURATION: Support(SupportLevel.EMULATED, "The bridge hangs up."),
        # To offer media: say FULL for START_AUDIO and STOP_AUDIO, and go on in `possible`, below.
        # To offer inbound calls: say FULL for ANSWER and REJECT, and go on in `possible`.
    }
)
"""Every capability, with its level and what a user should know."""


def possible(view: CallView) -> frozenset[Capability]:
    """Return what the state of the call allows: of what is supported, never more.

    To offer media: START_AUDIO and STOP_AUDIO while the call is CONNECTED; then `decode.py`. To offer inbound calls:
    ANSWER and REJECT while `view.direction` is INBOUND and it is RINGING; then `decode.py`.
    """
    if view.over or view.state is CallState.ENDED:
        return frozenset()
    return frozenset({Capability.HANG_UP})
