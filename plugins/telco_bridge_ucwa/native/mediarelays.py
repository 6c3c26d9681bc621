"""What the application's own media may need of the server: relays to get through firewalls, and the policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from ..wire import Resource
from .door import Door

__all__ = ["MediaRelay", "MediaRelayAccess", "media_policies", "media_relay_access"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRelay:
    """A TURN server. A port is None where it takes no such traffic; `location` is Internet, Intranet or All."""

    host: str | None = None
    ipv4: str | None = None
    ipv6: str | None = None
    tcp_port: int | None = None
    udp_port: int | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRelayAccess:
    """Credentials for the relays. `minutes` is how long they are good; `valid_until` is the server's own word."""

    user_name: str | None = None
    password: SecretStr | None = None
    minutes: int | None = None
    valid_until: str | None = None
    uri: str | None = None
    relays: tuple[MediaRelay, ...] = ()


async def media_relay_access(door: Door) -> MediaRelayAccess | None:
    """Fetch credentials for the media relays; None where the server offers none: real servers leave them out."""
    body = await _read(door, "mediaRelayAccessToken")
    if body is None:
        return None
    password = body.text("password")
    return MediaRelayAccess(
        user_name=body.text("userName"),
        password=SecretStr(password) if password is not None else None,
        minutes=body.number("duration"),
        valid_until=body.text("validUntil"),
        uri=body.text("uri"),
        relays=tuple(_relay(part) for part in body.embedded.get("mediaRelay", ())),
    )


async def media_policies(door: Door) -> Mapping[str, object] | None:
    """Read the port ranges, bit rates and encryption that media must keep to, in UCWA's words; None where not told."""
    body = await _read(door, "mediaPolicies")
    return dict(body.properties) if body is not None else None


async def _read(door: Door, rel: str) -> Resource | None:
    communication = door.resources.only("communication")
    href = communication.link(rel) if communication is not None else None
    return await door.get(href, rel) if href is not None else None


def _relay(part: Resource) -> MediaRelay:
    return MediaRelay(
        host=part.text("host"),
        ipv4=part.text("ipv4"),
        ipv6=part.text("ipv6"),
        tcp_port=_port(part, "tcpPort"),
        udp_port=_port(part, "udpPort"),
        location=part.text("location"),
    )


def _port(part: Resource, name: str) -> int | None:
    port = part.number(name)
    return port if port is not None and port > 0 else None
