"""Commands as requests of the API: pure, without I/O. Replace them by Acme's own, and open `wire.py` next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from telco_bridge.provider import Dial, HangUp, Modality, Refused, Unsupported

from .config import PROVIDER, AcmeConfig

__all__ = ["Request", "dial", "events", "hang_up", "list_calls", "position", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: what follows the base URL, and a body that becomes JSON."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None


def dial(command: Dial, config: AcmeConfig) -> Request:
    """Return the request that places the call.

    Raises `Unsupported` for media of the application's own, `Refused` for native words that the bridge sets itself.
    """
    if command.offer is not None or command.modalities != frozenset({Modality.AUDIO}):
        raise Unsupported(f"{PROVIDER} dials with audio of its own, not with an offer or other media")
    # The command's id goes along as the token. It comes back with every event, so that those which overtake the answer
    # find their call, and so does a call whose answer was lost.
    body: dict[str, object] = {"to": command.to, "token": command.id}
    caller = command.caller_id if command.caller_id is not None else config.caller_id
    if caller is not None:
        body["from"] = caller
    taken = sorted({"to", "from", "token"} & set(command.native))
    if taken:
        raise Refused(f"native {', '.join(taken)}: the bridge sets it itself", provider=PROVIDER)
    return Request(method="POST", path="/calls", body={**body, **command.native})


def hang_up(command: HangUp) -> Request:
    """Return the request that ends the call. Raises `Refused` where it has no name yet: the core then waits for one."""
    if command.ref is None:
        raise Refused(f"{command.name} of call {command.call}: it has no name at {PROVIDER} yet", provider=PROVIDER)
    return Request(method="DELETE", path=_call(command.ref))


def read(ref: str) -> Request:
    """Return the request for one call."""
    return Request(method="GET", path=_call(ref))


def list_calls() -> Request:
    """Return the request for all live calls."""
    return Request(method="GET", path="/calls")


def position() -> Request:
    """Return the request that tells where the events are now."""
    return Request(method="GET", path="/events")


def events(*, after: int, wait: float) -> Request:
    """Return the request for the events after that number, which waits so many seconds for the first."""
    return Request(method="GET", path="/events", query={"after": str(after), "wait": f"{wait:g}"})


def _call(ref: str) -> str:
    # What the provider calls a call is opaque, and must not climb out of its place in the path.
    return "/calls/" + quote(ref, safe="").replace(".", "%2E")
