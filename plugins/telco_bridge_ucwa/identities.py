"""Who is who among links: the same resource is met under relative addresses and under absolute ones."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urljoin, urlsplit

__all__ = ["Identities"]

_PLAIN = re.compile(r"/[A-Za-z0-9_.~!$&'()*+,=:@%/?-]*")
"""Characters that mean the same before and after an address is resolved."""
_PORTS = {"http": 80, "https": 443}


class Identities:
    """The identities of resources whose links resolve against `base`."""

    def __init__(self, base: str) -> None:
        self._base = base
        parts = urlsplit(base)
        self._here = _origin(parts)
        self._root = f"{parts.scheme}://{parts.netloc}" if parts.netloc else None

    def url(self, href: str) -> str:
        """The absolute address of a link."""
        return urljoin(self._base, href)

    def of(self, href: str | None) -> str | None:
        """The identity of a resource: its absolute path, with the host only where it is another one.

        None for what is no address.
        """
        if href is None:
            return None
        # Taking an address apart costs more than all the rest of an event, and nearly every one needs none of it.
        root = self._root
        path = href[len(root) :] if root is not None and href.startswith(root) else href
        if path[:2] != "//" and "/." not in path and path[-1:] != "?" and _PLAIN.fullmatch(path) is not None:
            return path
        return self._resolved(href)

    def _resolved(self, href: str) -> str | None:
        try:
            parts = urlsplit(self.url(href))
            here = _origin(parts) == self._here
        except ValueError:
            return None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return path if here else parts.geturl()


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
