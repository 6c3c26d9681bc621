"""Windows sign-in: the handshake, on one connection, in which a server learns who asks without seeing the password."""

from __future__ import annotations

import logging
import re
import struct
import threading
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import httpx

from telco_bridge.provider import AuthenticationFailed

from .config import UcwaConfig
from .hosts import Connection

if TYPE_CHECKING:
    from spnego import ContextProxy
    from spnego.channel_bindings import GssChannelBindings

__all__ = ["Outcome", "parse_offers", "sign_in"]

_PATIENCE = 30.0
"""Seconds that a ticket may take."""
_LEGS = 6
"""How many messages a handshake may take: NTLM needs two, Kerberos one, and Negotiate may ask for another."""
_PROVED = 2
"""The message of NTLM that holds the proof; the one before says nothing. Kerberos has said all in its first."""
_OFFER = re.compile(r"(?:^|,)\s*(Negotiate|NTLM)(?:[ \t]+([A-Za-z0-9+/]+=*))?\s*(?=,|$)", re.IGNORECASE)
_LOGGERS = ("spnego._gss", "spnego._negotiate", "spnego._ntlm", "spnego._sspi")
"""Where the library logs whole messages, from whose proof a password can be guessed."""
_WEAK = frozenset({"md5", "sha1"})
"""The signature hashes that channel bindings replace by SHA-256."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last answer of a handshake, and whether the server has judged the credentials in it."""

    response: httpx.Response
    judged: bool


def parse_offers(headers: httpx.Headers) -> dict[str, bytes | None]:
    """Return the schemes, in lower case, that a server offers, each with the message that came with it.

    What is quoted, as in the challenges of other schemes, offers nothing. A message that cannot be read is none.
    """
    text = ", ".join(headers.get_list("www-authenticate"))
    blanked = re.sub(r'"[^"]*"', '""', text)
    offers: dict[str, bytes | None] = {}
    for scheme, message in _OFFER.findall(blanked):
        try:
            offers.setdefault(scheme.lower(), b64decode(message, validate=True) if message else None)
        except NotBase64:
            offers.setdefault(scheme.lower(), None)
    return offers


async def sign_in(connection: Connection, make: Callable[[], httpx.Request], config: UcwaConfig) -> Outcome:
    """Send a request until the server knows who asks; every answer comes over the same connection.

    With a password it is proved and never sent; without one, the ticket of whoever runs the program is. Raises
    `AuthenticationFailed` where the handshake cannot be made, and what sending raises.
    """
    request = make()
    where = str(request.url.copy_with(query=None))
    response = await connection.send(request)
    offers = parse_offers(response.headers)
    scheme = next((scheme for scheme in ("negotiate", "ntlm") if scheme in offers), None)
    if response.status_code != 401 or scheme is None:
        return Outcome(response, judged=False)
    handshake = _Handshake(scheme, request.url.host, connection.certificate, config, where)
    message: bytes | None = None
    for leg in range(1, _LEGS):
        try:
            token = await handshake.step(message)
        except AuthenticationFailed:
            if leg > _PROVED:
                # What came in reply to the proof is no message, so it is the refusal.
                return Outcome(response, judged=True)
            raise
        if token is None:
            break
        request = make()
        request.headers["Authorization"] = f"{_SPELT[scheme]} {b64encode(token).decode('ascii')}"
        response = await connection.send(request)
        if response.status_code != 401:
            return Outcome(response, judged=False)
        if connection.changed:
            raise AuthenticationFailed(
                f"POST {where}: the server, or a proxy before it, closes the connection within the {_SPELT[scheme]} "
                "handshake, which belongs to one connection. Ask for connections that are kept open.",
                provider="ucwa",
                status=401,
            )
        message = parse_offers(response.headers).get(scheme)
        if message is None or handshake.complete:
            return Outcome(response, judged=leg >= _PROVED or handshake.complete)
    return Outcome(response, judged=handshake.complete)


_SPELT = {"negotiate": "Negotiate", "ntlm": "NTLM"}


class _Handshake:
    """The client's side of a handshake."""

    def __init__(self, scheme: str, host: str, certificate: bytes | None, config: UcwaConfig, where: str) -> None:
        self._scheme = scheme
        self._host = host
        self._certificate = certificate
        self._config = config
        self._where = where
        self._context: ContextProxy | None = None

    @property
    def complete(self) -> bool:
        """Whether this side has said all it has to say."""
        return self._context is not None and self._context.complete

    async def step(self, message: bytes | None) -> bytes | None:
        """Return what answers that message; None where there is nothing more to say."""
        from spnego.exceptions import SpnegoError

        try:
            # In a thread: a ticket may have to be fetched from a domain controller.
            with anyio.fail_after(_PATIENCE):
                return await anyio.to_thread.run_sync(self._step, message, abandon_on_cancel=True)
        except TimeoutError as error:
            raise AuthenticationFailed(
                f"POST {self._where}: no ticket for {self._config.who} came within {_PATIENCE:.0f} s. Check the way to "
                "the domain controller.",
                provider="ucwa",
            ) from error
        except (SpnegoError, ValueError, struct.error) as error:
            # The last two are what the library makes of a message that is none.
            hint = (
                "username and password" if self._config.password else "that there is a ticket (klist), or set password"
            )
            raise AuthenticationFailed(
                f"POST {self._where}: {_SPELT[self._scheme]} sign-in of {self._config.who} cannot be made here: "
                f"{error}. Check {hint}.",
                provider="ucwa",
            ) from error

    def _step(self, message: bytes | None) -> bytes | None:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_is_no_message)
        _here.stepping = True
        try:
            return self._stepped(message)
        finally:
            _here.stepping = False

    def _stepped(self, message: bytes | None) -> bytes | None:
        if self._context is None:
            import spnego

            password = self._config.password
            self._context = spnego.client(
                self._config.username,
                password.get_secret_value() if password is not None else None,
                hostname=self._host,
                service="HTTP",
                protocol=self._scheme,
                channel_bindings=None if self._certificate is None else _bindings(self._certificate),
            )
        return self._context.step(message)


_here = threading.local()
"""Whether the library is at work for a handshake of ours in this thread: what it logs for others is theirs."""


def _is_no_message(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG or not getattr(_here, "stepping", False)


def _bindings(certificate: bytes) -> GssChannelBindings:
    """Tie the handshake to the server's certificate, so that nobody in between can pass it on."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from spnego.channel_bindings import GssChannelBindings

    signed_with = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    kind = signed_with if signed_with is not None and signed_with.name not in _WEAK else hashes.SHA256()
    digest = hashes.Hash(kind)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())
