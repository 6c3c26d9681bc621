"""What SignalWire has of its own in the API that it shares with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from telco_bridge.provider import AudioFormat, Encoding, Host, MediaEndpoint
from telco_bridge_laml.dialect import Dialect

from .signature import is_signed

if TYPE_CHECKING:
    from telco_bridge_laml.api import Api
    from telco_bridge_laml.scripts import Scripts

__all__ = ["PROVIDER", "SIGNALWIRE", "codec"]

PROVIDER = "signalwire"
"""The name of this provider, in configuration and in errors."""


def codec(wanted: AudioFormat) -> str:
    """Return the nearest codec of a two-way stream: SignalWire documents mu-law at 8 kHz, L16 at 16 and 24 kHz."""
    if wanted.encoding is Encoding.PCM16 and wanted.rate >= 24_000:
        return "L16@24000h"
    return "L16@16000h" if wanted.encoding is Encoding.PCM16 and wanted.rate >= 16_000 else "PCMU@8000h"


def _two_way(endpoint: MediaEndpoint) -> Mapping[str, str]:
    return {
        "codec": codec(endpoint.format),
        "realtime": "true",
        "authBearerToken": endpoint.bearer.get_secret_value(),
    }


def _native(api: Api, host: Host, scripts: Scripts) -> object:
    from .space import SignalWireSpace

    return SignalWireSpace(api, host, scripts)


SIGNALWIRE = Dialect(
    provider=PROVIDER,
    title="SignalWire",
    is_signed=is_signed,
    bearer_parameter="AuthorizationBearerToken",
    two_way=_two_way,
    native=_native,
)
"""SignalWire's LaML."""
