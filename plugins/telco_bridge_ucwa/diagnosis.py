"""Signing in step by step: what was found, what is refused and why, and what the user may do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from telco_bridge.http import origin
from telco_bridge.provider import Clock, Fact, MediaEndpoint, MediaPort, ProviderError

from .application import Application
from .auth import SignedClient
from .config import UcwaConfig
from .discovery import enter, find_applications
from .hosts import open_hosts
from .resources import Resources
from .wire import bare

__all__ = ["RIGHTS", "Step", "diagnose"]

RIGHTS: Mapping[str, Mapping[str, str]] = {
    "communication": {
        "startPhoneAudio": "call by way of the user's own phone (startPhoneAudio)",
        "startAudio": "call with VoIP audio (startAudio)",
        "startVideo": "call with video (startVideo)",
        "startAudioVideo": "call with VoIP audio and video (startAudioVideo)",
        "startMessaging": "send messages (startMessaging)",
        "startOnlineMeeting": "hold a meeting (startOnlineMeeting)",
        "joinOnlineMeeting": "join meetings (joinOnlineMeeting)",
    },
    "me": {
        "makeMeAvailable": "be reachable for incoming calls (makeMeAvailable)",
        "callForwardingSettings": "change call forwarding (callForwardingSettings)",
    },
}
"""What a link of these resources lets the user do. UCWA documents that an absent link is a right that is not there."""

_CALLS = frozenset({"startPhoneAudio", "startAudio", "startVideo", "startAudioVideo", "makeMeAvailable"})
"""The links of which any call needs one: to make it, or to be there for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was tried. `fact` says how it went, or what it failed with and what to do; it holds no secret."""

    passed: bool
    fact: str


async def diagnose(
    config: UcwaConfig,
    tell: Callable[[Step], None],
    *,
    clock: Clock,
    transport: httpx.AsyncBaseTransport | None = None,
) -> bool:
    """Sign in as the bridge would and tell every step; return whether a bridge could work with these settings.

    An application is made and deleted. It is one of its own: the user is not made reachable by it, and a bridge that
    runs with the same `endpoint_id` is not disturbed. A refused password counts against the user's account, once.
    """
    # UCWA documents that applications of one endpoint are the same, so that deleting this one would end a bridge's.
    config = config.model_copy(update={"available": False, "endpoint_id": None})
    try:
        async with open_hosts(config, transport=transport) as hosts:
            client = SignedClient(hosts, config, clock)
            if config.user_url is None and config.application_url is None and not await _discover(client, config, tell):
                return False
            return await _sign_in(client, config, clock, tell)
    except ProviderError as error:
        tell(Step(passed=False, fact=str(error)))
        return False


async def _discover(client: SignedClient, config: UcwaConfig, tell: Callable[[Step], None]) -> bool:
    """Try the entries in the bridge's order, up to the first that leads to a server."""
    for entry in config.entries:
        try:
            user = await enter(client, entry)
        except ProviderError as error:
            tell(Step(passed=False, fact=f"{bare(entry)} leads nowhere: {error}"))
            continue
        tell(Step(passed=True, fact=f"{bare(entry)} leads to the server {origin(user)}"))
        return True
    tell(Step(passed=False, fact="no address of autodiscovery leads to a server. Check the domain, or set user_url."))
    return False


async def _sign_in(client: SignedClient, config: UcwaConfig, clock: Clock, tell: Callable[[Step], None]) -> bool:
    if config.application_url is None:
        found, for_guests = await find_applications(client, config, now=clock.now())
        kind = "guests make" if for_guests else "the user makes"
        tell(Step(passed=True, fact=f"{config.who} is signed in; {kind} applications at {origin(found)}"))
    application = Application(client, config, _Bystander(clock))
    try:
        await application.sign_in()
        tell(Step(passed=True, fact=f"an application was made at {origin(application.links.base)}"))
        may_call = _tell_rights(application.resources, tell)
    finally:
        await application.sign_out()
    tell(Step(passed=True, fact="the application was deleted again"))
    return may_call


def _tell_rights(resources: Resources, tell: Callable[[Step], None]) -> bool:
    """Tell what the links allow; return whether any call can be made or received."""
    me = resources.only("me")
    if me is not None:
        name = me.text("uri") or "a user without an address"
        tell(Step(passed=True, fact=f"the server knows the user as {name}"))
    offered = {
        link
        for rel, rights in RIGHTS.items()
        for link in rights
        if (resource := resources.only(rel)) is not None and resource.link(link) is not None
    }
    words = {link: meaning for rights in RIGHTS.values() for link, meaning in rights.items()}
    for what, links in (("the user may", offered), ("the server offers no link to", words.keys() - offered)):
        if links:
            tell(Step(passed=True, fact=f"{what} {', '.join(words[link] for link in words if link in links)}"))
    may_call = not offered.isdisjoint(_CALLS)
    if not may_call:
        tell(
            Step(
                passed=False,
                fact="the user may not make or take calls. Ask the administrator to enable the user for Enterprise "
                "Voice (call by way of the own phone) or for VoIP.",
            )
        )
    return may_call


class _Bystander:
    """A host that nothing is reported to: no events are read."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def stamp(self) -> float:
        return self.clock.now()

    def report(self, *facts: Fact) -> None:
        del facts

    def url(self, path: str, **query: str) -> str | None:
        del path, query
        return None

    def media(self, endpoint: MediaEndpoint) -> MediaPort | None:
        del endpoint
        return None
