"""What the tests of real calls have in common."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from telco_bridge import Bridge, Call

from . import rtp
from .network import Far, Leg, SipNetwork

__all__ = ["TONE", "hears_silence", "hears_tone", "leg_of", "pressed", "talk"]

TONE = 440.0
"""The frequency of the tone that baresip plays, unless it is told otherwise."""

_ENOUGH = rtp.RATE // 4
"""Samples that are listened to: a quarter of a second."""
_SILENCE = 64
"""Samples of silence are not louder, of 32767."""


async def talk(bridge: Bridge, network: SipNetwork, far: Far = Far.ANSWERS) -> tuple[Call, Leg]:
    """Dial, and return the call at both ends when it is answered."""
    call = await bridge.dial(network.address(far))
    await call.answered()
    leg = await leg_of(network, call)
    await network.until(lambda: leg.acknowledged)
    return call, leg


async def leg_of(network: SipNetwork, call: Call) -> Leg:
    """Return the call as the network sees it."""
    return await anyio.to_thread.run_sync(network.leg, call.native_id)


async def hears_tone(network: SipNetwork, leg: Leg, frequency: float = TONE) -> None:
    """Wait until what the far end has just heard is that tone, and nothing else."""
    await _hears(network, leg, lambda heard: rtp.share(heard, frequency) > 0.95)


async def hears_silence(network: SipNetwork, leg: Leg) -> None:
    """Wait until what the far end has just heard is silence: audio that is there, and says nothing."""
    await _hears(network, leg, lambda heard: max(map(abs, heard)) <= _SILENCE)


async def _hears(network: SipNetwork, leg: Leg, as_expected: Callable[[list[int]], bool]) -> None:
    before = len(leg.heard)

    def heard_enough() -> bool:
        last = leg.samples(before)[-_ENOUGH:]
        return len(last) >= _ENOUGH and as_expected(last)

    await network.until(heard_enough)


async def pressed(network: SipNetwork, leg: Leg) -> str:
    """Return the keys that the far end has heard, as soon as no more come."""
    return await anyio.to_thread.run_sync(network.pressed, leg)
