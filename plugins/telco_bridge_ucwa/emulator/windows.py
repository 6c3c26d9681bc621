"""Windows sign-in as a web server makes it: NTLMv2, bare or inside Negotiate, bound to a connection.

There is no Kerberos, for there is no domain. Integrity codes and channel bindings are not checked.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass

from .answers import Answer
from .inputs import Ask
from .pool import Pool

__all__ = ["Windows"]

_SIGNATURE = b"NTLMSSP\x00"
_NTLM_OID = bytes.fromhex("060a2b06010401823702020a")
_NEGOTIATE, _CHALLENGE, _AUTHENTICATE = 1, 2, 3
# Unicode, request target, NTLM, always sign, target type domain, extended session security, target info, 128 bits.
_FLAGS = 0x00000001 | 0x00000004 | 0x00000200 | 0x00008000 | 0x00010000 | 0x00080000 | 0x00800000 | 0x20000000
_DOMAIN_NAME, _END_OF_LIST = 2, 0
_PROOF = 16
_OPEN = 256
"""How many handshakes may be under way; the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class _Started:
    """A handshake that waits for the proof."""

    scheme: str
    nonce: bytes


class Windows:
    """The handshakes of one server. Only the connection on which one began can finish it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._started: dict[str, _Started] = {}

    @property
    def domain(self) -> str:
        """The name of the Windows domain, the first word of the SIP domain in capitals."""
        return self._pool.settings.username.partition("@")[2].partition(".")[0].upper()

    def judge(self, ask: Ask, page: str) -> Answer | None:
        """Return the answer that goes on with the handshake or refuses it; None once the user has proved the name."""
        scheme, _, text = ask.headers.get("authorization", "").partition(" ")
        message = _message(text)
        kind = struct.unpack_from("<I", message, 8)[0] if len(message) >= 12 else 0
        started = self._started.pop(ask.connection, None)
        if scheme.lower() not in ("ntlm", "negotiate"):
            return self._refuse(page)
        if kind == _NEGOTIATE:
            nonce = self._pool.chance.randbytes(8)
            if len(self._started) >= _OPEN:
                del self._started[next(iter(self._started))]
            self._started[ask.connection] = _Started(scheme.lower(), nonce)
            challenge = self._challenge(nonce)
            if not text.startswith(b64encode(_SIGNATURE[:6]).decode()):
                challenge = _wrapped(challenge)
            return Answer(401, html=page, headers=[("WWW-Authenticate", f"{scheme} {b64encode(challenge).decode()}")])
        if kind == _AUTHENTICATE and started is not None and started.scheme == scheme.lower():
            return None if self._proves(message, started.nonce) else self._refuse(page)
        return self._refuse(page)

    @staticmethod
    def _refuse(page: str) -> Answer:
        return Answer(401, html=page, headers=[("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM")])

    def _challenge(self, nonce: bytes) -> bytes:
        name = self.domain.encode("utf-16-le")
        info = struct.pack("<HH", _DOMAIN_NAME, len(name)) + name + struct.pack("<HH", _END_OF_LIST, 0)
        head = 48
        return (
            _SIGNATURE
            + struct.pack("<IHHI", _CHALLENGE, len(name), len(name), head)
            + struct.pack("<I", _FLAGS)
            + nonce
            + bytes(8)
            + struct.pack("<HHI", len(info), len(info), head + len(name))
            + name
            + info
        )

    def _proves(self, message: bytes, nonce: bytes) -> bool:
        """Whether the message could only be made by who knows the user's password."""
        response, domain, user = (_field(message, at) for at in (20, 28, 36))
        settings = self._pool.settings
        name, realm = user.decode("utf-16-le", "replace"), domain.decode("utf-16-le", "replace")
        known = settings.username.lower()
        # As a UPN, or as DOMAIN\\user.
        is_user = name.lower() == known or (name.lower() == known.partition("@")[0] and realm.upper() == self.domain)
        key = hmac.digest(
            _md4(settings.password.encode("utf-16-le")), (name.upper() + realm).encode("utf-16-le"), "md5"
        )
        proof = hmac.digest(key, nonce + response[_PROOF:], "md5")
        return is_user and len(response) > _PROOF and hmac.compare_digest(proof, response[:_PROOF])


def _message(text: str) -> bytes:
    """Return the NTLM message of a header, which may be wrapped; nothing where there is none."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        return b""
    at = data.find(_SIGNATURE)
    return data[at:] if at >= 0 else b""


def _field(message: bytes, at: int) -> bytes:
    if len(message) < at + 8:
        return b""
    length, _, start = struct.unpack_from("<HHI", message, at)
    return message[start : start + length]


def _wrapped(message: bytes) -> bytes:
    """Return the message inside a reply of Negotiate's (RFC 4178) that chooses NTLM and asks for more."""
    state = _der(0xA0, _der(0x0A, b"\x01"))
    mechanism = _der(0xA1, _NTLM_OID)
    token = _der(0xA2, _der(0x04, message))
    return _der(0xA1, _der(0x30, state + mechanism + token))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + struct.pack(">H", size)
    return bytes([tag]) + length + content


def _md4(data: bytes) -> bytes:
    """Return the MD4 digest (RFC 1320), which OpenSSL gives out no longer and NTLM is made of."""
    try:
        return hashlib.new("md4", data, usedforsecurity=False).digest()
    except ValueError:
        pass
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", len(data) * 8)
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    for start in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, start)
        a, b, c, d = state
        for turn, index in enumerate(_MD4_ORDER):
            if turn < 16:
                mixed, added, turns = (b & c) | (~b & d), 0, (3, 7, 11, 19)
            elif turn < 32:
                mixed, added, turns = (b & c) | (b & d) | (c & d), 0x5A827999, (3, 5, 9, 13)
            else:
                mixed, added, turns = b ^ c ^ d, 0x6ED9EBA1, (3, 9, 11, 15)
            total = (a + mixed + words[index] + added) & 0xFFFFFFFF
            by = turns[turn % 4]
            a, b, c, d = d, ((total << by) | (total >> (32 - by))) & 0xFFFFFFFF, b, c
        state = [(old + new) & 0xFFFFFFFF for old, new in zip(state, (a, b, c, d), strict=True)]
    return struct.pack("<4I", *state)


_MD4_ORDER = (
    *range(16),
    *(row + column for row in range(4) for column in (0, 4, 8, 12)),
    *(0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)
