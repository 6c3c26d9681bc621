"""What a client's own media are told: credentials for relays, and the policies they must keep to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answers import Answer
from .errors import JSON
from .inputs import Ask

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["media_policies", "media_relay_access"]

_MINUTES = 480


def media_relay_access(ask: Ask, pool: Pool) -> Answer:
    """Return fresh credentials for the one relay, which exists nowhere."""
    relay: JSON = {
        "rel": "mediaRelay",
        "host": "relay.sandbox.test",
        "tcpPort": 443,
        "udpPort": -1,
        "location": "Internet",
    }
    token: JSON = {
        "rel": "mediaRelayAccessToken",
        "userName": pool.directory.word(8),
        "password": pool.guid(),
        "duration": _MINUTES,
        "validUntil": f"/Date({round((pool.now() + 60 * _MINUTES) * 1000)})/",
        "uri": "sip:relay@sandbox.test;gruu;opaque=srvr:MRAS",
    }
    return Answer(200, {**token, "_links": {"self": ask.place.link()}, "_embedded": {"mediaRelay": [relay]}})


def media_policies(ask: Ask) -> Answer:
    """Return the policies."""
    policies: JSON = {
        "rel": "mediaPolicies",
        "audioVideoEncryption": "Required",
        "minimumAudioPort": 50_000,
        "maximumAudioPort": 50_019,
        "minimumVideoPort": 50_020,
        "maximumVideoPort": 50_039,
        "portRange": "Enabled",
    }
    return Answer(200, {**policies, "_links": {"self": ask.place.link()}})
