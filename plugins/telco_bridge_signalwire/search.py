"""Looking for the variant of a captured request that its signature belongs to."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1, sha256
from urllib.parse import unquote

from telco_bridge.provider import Capture, Finding, WebRequest

from .addresses import Address
from .config import SignalWireConfig
from .signature import HEADERS, sign
from .variants import Content, Key, addresses, contents, keys, queries

__all__ = ["Claim", "Match", "Search", "claimed", "is_whole"]

_SHA256_HEADER = "x-signalwire-sha256-signature"
_LENGTH = 28
_BASE64 = re.compile(r"[A-Za-z0-9+/]{27}=", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A signature that the request carries, and what it means if this one is right."""

    text: str
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What was signed, and with which key."""

    address: Address
    key: Key
    content: Content | None = None
    claim: Claim


class Search:
    """Goes through the variants until one matches, and counts those that it has `tried`."""

    def __init__(self, capture: Capture, config: SignalWireConfig) -> None:
        self.tried = 0
        self._capture = capture
        self._claims = tuple(_claims(capture.request))
        self._keys = keys(config)

    def find(self) -> Match | None:
        """Return the first variant that a configured secret has signed."""
        return self._of_forms() or self._of_bodies()

    def _of_forms(self) -> Match | None:
        """The scheme of cXML: Base64, over address and form."""
        claims = [claim for claim in self._claims if _HEX.fullmatch(claim.text) is None]
        if not claims:
            return None
        usual = queries(self._capture)
        places = addresses(self._capture)
        for content in contents(self._capture.request):
            for query in usual if content.queries is None else content.queries:
                for place in places:
                    address = replace(place, query=query)
                    for key in self._keys:
                        claim = self._claimed(claims, sign(key.text, str(address), content.form))
                        if claim is not None:
                            return Match(address=address, key=key, content=content, claim=claim)
        return None

    def _of_bodies(self) -> Match | None:
        """The scheme of SWML: hexadecimal, over address and raw body."""
        claims = [claim for claim in self._claims if _HEX.fullmatch(claim.text) is not None]
        if not claims:
            return None
        body = self._capture.request.body
        bodies = dict.fromkeys((body, body.rstrip(b"\r\n")))
        for place in addresses(self._capture):
            for query in queries(self._capture):
                address = replace(place, query=query)
                for key in self._keys:
                    for content in bodies:
                        signed = str(address).encode("utf-8", "replace") + content
                        for digest in (sha1, sha256):
                            claim = self._claimed(claims, hmac.new(key.text.encode(), signed, digest).hexdigest())
                            if claim is not None:
                                return Match(address=address, key=key, claim=claim)
        return None

    def _claimed(self, claims: Sequence[Claim], computed: str) -> Claim | None:
        self.tried += 1
        return next((claim for claim in claims if hmac.compare_digest(claim.text.encode(), computed.encode())), None)


def claimed(request: WebRequest) -> str | None:
    """Return the signature that the request carries, whichever header it is in."""
    found = (request.headers[name] for name in (*HEADERS, _SHA256_HEADER) if name in request.headers)
    return next((value.strip() for value in found), None)


def is_whole(signature: str) -> bool:
    """Whether it has the form of a signature of SignalWire's, of either scheme."""
    return _BASE64.fullmatch(signature) is not None or _HEX.fullmatch(signature) is not None


def _claims(request: WebRequest) -> Iterator[Claim]:
    """The signatures that the request carries: first the one that the bridge looks at."""
    present = [name for name in (*HEADERS, _SHA256_HEADER) if name in request.headers]
    for name in present:
        value = request.headers[name].strip().encode("ascii", "replace").decode()
        second = Finding(
            fact=f"The header {name} is right, but the bridge goes by {present[0]}, which is another signature.",
            remedy=f"find out who adds {present[0]}: something on the way signs anew",
        )
        yield Claim(
            text=value.lower() if _HEX.fullmatch(value) else value, finding=second if name != present[0] else None
        )
        # Where a plus became a space, one in front was stripped.
        mended = unquote(value.strip("'\"")).replace(" ", "+").rjust(_LENGTH, "+")
        if mended != value and _BASE64.fullmatch(mended):
            damaged = Finding(
                fact="The signature itself was changed: quoted, or decoded as part of a form.",
                remedy="pass the header on, or capture it, exactly as it came",
            )
            yield Claim(text=mended, finding=damaged)
