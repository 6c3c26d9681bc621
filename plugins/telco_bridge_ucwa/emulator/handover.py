"""Calls that the other party hands over: somebody else calls the user in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telco_bridge.media import Modality

from .arrival import Arrival

if TYPE_CHECKING:
    from .modality import CallModality

__all__ = ["hand_over"]


def hand_over(modality: CallModality, to: str, *, media: frozenset[Modality] | None = None) -> None:
    """Let the other party hand its call over to somebody, who invites the user in its place.

    The call itself goes on until the invitation is taken. Call it in the emulator's loop.
    """
    pool = modality.pool
    # An address that nobody else can call: what it leads to is forgotten as soon as this call is on its way.
    address = f"{pool.settings.uri};replaces"
    with pool.exchange.lock:
        pool.exchange.register(address, lambda leg: Arrival(pool, leg, replaces=modality).announce())
        pool.exchange.call_in(caller=to, callee=address, media=media or modality.media)
        pool.exchange.forget(address)
