"""Requests to the application: how they are addressed, signed and timed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit

import httpx

from telco_bridge.http import SpreadTransport

__all__ = [
    "SIGNATURE",
    "Courier",
    "Script",
    "Subscription",
    "TooLarge",
    "Undelivered",
    "Webhook",
    "sign",
    "without_query",
]

SIGNATURE = "X-SignalWire-Signature"

MAX_BODY = 64 * 1024
"""The largest document that SignalWire reads, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address of the application's, and the method it wants."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Where a call's document comes from: an address, or the text itself; and where else to look when that fails."""

    document: Webhook | str
    fallback: Webhook | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who is told of a call's progress, and of which events."""

    webhook: Webhook | None = None
    events: frozenset[str] = frozenset({"completed"})
    of_number: bool = False
    """It belongs to a phone number, not to the call: fewer events and fewer fields."""


class Undelivered(Exception):
    """The application gave no answer. The text says how."""


class TooLarge(Undelivered):
    """The answer exceeds what SignalWire reads."""


def sign(key: str, url: str, fields: Mapping[str, str]) -> str:
    """Return the signature of a form (or, without fields, of a GET) as SignalWire documents it for cXML traffic."""
    signed = url + "".join(name + fields[name] for name in sorted(fields, key=str.encode))
    digest = hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def without_query(url: str) -> str:
    """Return the URL without what may hold secrets: credentials, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class Courier:
    """Carries signed requests to the application. It belongs to the loop that uses it, which closes it."""

    def __init__(self, signing_key: str) -> None:
        self._key = signing_key
        # One pool of connections is slow where hundreds of callbacks are under way at once.
        self._client = httpx.AsyncClient(
            transport=SpreadTransport(), follow_redirects=True, max_redirects=3, trust_env=False
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def carry(
        self, webhook: Webhook, fields: Mapping[str, str], *, signing: str | None = "right"
    ) -> httpx.Response:
        """Send the fields and return the answer. Raises `Undelivered` where none came in time.

        `signing` is `right`, `wrong` (by another key) or None (no signature at all).
        """
        url, fragment = urldefrag(webhook.url)
        pauses = _pauses(fragment)
        headers: dict[str, str] = {}
        content: bytes | None = None
        if webhook.method == "GET":
            query = urlencode(fields)
            url = f"{url}{'&' if urlsplit(url).query else '?'}{query}"
            signature = sign(self._key, url, {})
        else:
            content = urlencode(fields).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            signature = sign(self._key, url, fields)
        if signing is not None:
            headers[SIGNATURE] = signature if signing == "right" else sign("PSK_wrong", url, {})
        return await self._deliver(webhook.method, url, content, headers, pauses, MAX_BODY)

    async def fetch(self, url: str, *, limit: int) -> httpx.Response:
        """Fetch what is no document, such as a sound, of up to `limit` bytes. Raises `Undelivered`."""
        plain, fragment = urldefrag(url)
        return await self._deliver("GET", plain, None, {}, _pauses(fragment), limit)

    async def _deliver(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: Mapping[str, str],
        pauses: Mapping[str, float],
        limit: int,
    ) -> httpx.Response:
        timeout = httpx.Timeout(pauses["rt"], connect=pauses["ot"])
        try:
            async with (
                asyncio.timeout(pauses["tt"]),
                self._client.stream(method, url, content=content, headers=headers, timeout=timeout) as response,
            ):
                return await _read(response, limit)
        except TimeoutError as error:
            raise Undelivered("timed out") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise Undelivered(type(error).__name__) from error


async def _read(response: httpx.Response, limit: int) -> httpx.Response:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"more than {limit} bytes")
    content_type = response.headers.get("content-type", "")
    return httpx.Response(response.status_code, headers={"content-type": content_type}, content=bytes(body))


def _pauses(fragment: str) -> dict[str, float]:
    """Return the time-outs in seconds: SignalWire's, unless the URL's fragment sets others within their bounds."""
    pauses = {"ot": 2.0, "rt": 5.0, "tt": 15.0}
    longest = {"ot": 10_000, "rt": 15_000, "tt": 15_000}
    for name, value in parse_qsl(fragment):
        if name in pauses and value.isascii() and value.isdigit() and 100 <= int(value) <= longest[name]:
            pauses[name] = int(value) / 1000
    return pauses
