"""Web addresses in parts, each kept as it was written: a signature covers every character."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["DEFAULT_PORTS", "Address", "masked", "split"]

DEFAULT_PORTS = {"http": "80", "https": "443"}

# The fragment of an address that SignalWire calls may hold its timeouts: https://host/path#rt=8000.
_PARTS = re.compile(
    r"(?P<scheme>https?)://(?:(?P<credentials>[^/?#]*)@)?(?P<host>\[[^\]/?#@]*\]|[^:/?#@]*)(?::(?P<port>[0-9]*))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An http(s) address. A part that is None is not there, which is not the same as an empty one."""

    scheme: str
    credentials: str | None = None
    host: str
    port: str | None = None
    path: str = ""
    query: str | None = None
    fragment: str | None = None

    def __str__(self) -> str:
        credentials = f"{self.credentials}@" if self.credentials is not None else ""
        port = f":{self.port}" if self.port is not None else ""
        query = f"?{self.query}" if self.query is not None else ""
        fragment = f"#{self.fragment}" if self.fragment is not None else ""
        return f"{self.scheme}://{credentials}{self.host}{port}{self.path}{query}{fragment}"

    @property
    def own_port(self) -> str | None:
        """The port, unless it is the one that the scheme means anyway."""
        return None if self.port == DEFAULT_PORTS.get(self.scheme.lower()) else self.port


def split(url: str) -> Address | None:
    """Return the parts of an absolute http(s) address; None where it is none."""
    found = _PARTS.fullmatch(url)
    if found is None or not found["host"]:
        return None
    return Address(
        scheme=found["scheme"],
        credentials=found["credentials"],
        host=found["host"],
        port=found["port"],
        path=found["path"] or "",
        query=found["query"],
        fragment=found["fragment"],
    )


def masked(url: str) -> str:
    """Return the address as it may be shown: without the user and the password in it."""
    return re.sub(r"(?<=://)[^/?#]*@", "…@", url, count=1)
