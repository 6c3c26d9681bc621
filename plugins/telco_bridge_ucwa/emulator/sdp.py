"""Session descriptions, as far as an emulator without media needs them: who offers what, and a fitting answer."""

from __future__ import annotations

import base64
import email
import email.policy
import random
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_plus, unquote_to_bytes

from telco_bridge.media import Modality

__all__ = ["Alternatives", "answer_to", "data_uri", "from_data_uri", "holds", "offer_of", "offered_media"]

_KINDS = {"audio": Modality.AUDIO, "video": Modality.VIDEO}
_MIRRORED = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@dataclass
class _Section:
    """One m-line with its attributes."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    attributes: list[str] = field(default_factory=list[str])

    @property
    def modality(self) -> Modality:
        return _KINDS.get(self.kind, Modality.UNKNOWN)

    def first(self, name: str) -> str | None:
        """The value of the first attribute of that name."""
        prefix = f"{name}:"
        return next((line.removeprefix(prefix) for line in self.attributes if line.startswith(prefix)), None)


def _sections(text: str) -> list[_Section]:
    """Read the m-lines. Raises `ValueError` for what is no session description."""
    lines = text.replace("\r\n", "\n").strip().split("\n")
    if not lines or lines[0].strip() != "v=0":
        raise ValueError("it does not begin with v=0")
    sections: list[_Section] = []
    for line in lines:
        kind, separator, value = line.strip().partition("=")
        if not separator:
            raise ValueError(f"not a line of a session description: {line!r}")
        if kind == "m":
            words = value.split()
            if len(words) < 4:
                raise ValueError(f"not an m-line: {line!r}")
            sections.append(_Section(words[0], int(words[1].partition("/")[0]), words[2], words[3:]))
        elif kind == "a" and sections:
            sections[-1].attributes.append(value)
    return sections


def offered_media(text: str) -> frozenset[Modality]:
    """Return what an offer offers. Raises `ValueError` for what is no session description."""
    return frozenset(section.modality for section in _sections(text) if section.port) & frozenset(_KINDS.values())


def holds(text: str) -> bool:
    """Whether nothing of it may be heard by whom it is sent to: every medium is inactive, or only sent."""
    directions = [
        next((line for line in section.attributes if line in _MIRRORED), "sendrecv")
        for section in _sections(text)
        if section.port
    ]
    return bool(directions) and all(direction in ("inactive", "sendonly") for direction in directions)


def offer_of(media: frozenset[Modality], *, chance: random.Random) -> str:
    """Return an offer of the other party's to go on with these media."""
    return _offer(media, session=chance.randrange(1, 10**9), port=52_000)


def answer_to(offer: str, accepted: frozenset[Modality], *, session: int, port: int = 50_000) -> str:
    """Return an answer that takes the first m-line of each accepted modality and declines the rest with port 0."""
    lines = ["v=0", f"o=- {session} 1 IN IP4 127.0.0.1", "s=session", "c=IN IP4 127.0.0.1", "t=0 0"]
    wanted = set(accepted)
    for index, section in enumerate(_sections(offer)):
        if not section.port or section.modality not in wanted:
            lines.append(f"m={section.kind} 0 {section.protocol} {section.formats[0]}")
            continue
        wanted.discard(section.modality)
        lines.append(f"m={section.kind} {port + 2 * index} {section.protocol} {' '.join(section.formats)}")
        lines += [f"a={line}" for line in section.attributes if line.startswith(("rtpmap:", "fmtp:", "mid:"))]
        crypto = section.first("crypto")
        if crypto is not None:
            key = base64.b64encode(bytes((session + byte) % 256 for byte in range(30))).decode()
            lines.append(f"a=crypto:{' '.join(crypto.split()[:2])} inline:{key}")
        direction = next((line for line in section.attributes if line in _MIRRORED), "sendrecv")
        lines.append(f"a={_MIRRORED[direction]}")
    return "\r\n".join(lines) + "\r\n"


def _offer(media: frozenset[Modality], *, session: int, port: int) -> str:
    """Return an offer as a caller's Skype for Business client would make it, without candidates: nothing flows."""
    lines = ["v=0", f"o=- {session} 0 IN IP4 127.0.0.1", "s=session", "c=IN IP4 127.0.0.1", "t=0 0"]
    kinds = {
        Modality.AUDIO: ("audio", "0 101", ("rtpmap:0 PCMU/8000", "rtpmap:101 telephone-event/8000")),
        Modality.VIDEO: ("video", "122", ("rtpmap:122 X-H264UC/90000",)),
    }
    for index, (kind, formats, attributes) in enumerate(kinds[modality] for modality in sorted(media)):
        key = base64.b64encode(bytes((session + byte) % 256 for byte in range(30))).decode()
        lines.append(f"m={kind} {port + 2 * index} RTP/SAVP {formats}")
        lines += [f"a={line}" for line in (f"crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{key}", *attributes, "sendrecv")]
    return "\r\n".join(lines) + "\r\n"


class Alternatives:
    """A caller's offer as real servers send it: the same in a legacy form first, then in the one to be answered."""

    def __init__(self, media: frozenset[Modality], *, chance: random.Random) -> None:
        self.media = media
        boundary = f"b{chance.randrange(10**9)}"
        self.content_ids = tuple(f"<{chance.getrandbits(64):016x}@sandbox.test>" for _ in range(2))
        text = ""
        session = chance.randrange(1, 10**9)
        for content_id, handling in zip(self.content_ids, ("ms-proxy-2007fallback", ""), strict=True):
            disposition = "session; handling=optional" + (f"; {handling}" if handling else "")
            headers = (
                "Content-Type: application/sdp",
                f"Content-ID: {content_id}",
                f"Content-Disposition: {disposition}",
            )
            body = _offer(media, session=session, port=40_000 if handling else 50_000)
            text += f"--{boundary}\r\n" + "\r\n".join(headers) + f"\r\n\r\n{body}\r\n"
        head = f"multipart/alternative;charset=utf-8;boundary={boundary}"
        self.uri = f"data:{head},{quote_plus(text)}--{boundary}--"


def data_uri(text: str) -> str:
    """Return a session description as UCWA carries it: URL-encoded, a space as `+`."""
    return f"data:application/sdp;charset=utf-8,{quote_plus(text)}"


def from_data_uri(uri: str) -> str:
    """Return the session description of a data URI, the last one where alternatives are given. Raises `ValueError`."""
    scheme, _, rest = uri.partition(":")
    head, separator, data = rest.partition(",")
    if scheme.lower() != "data" or not separator:
        raise ValueError("not a data URI")
    media_type, *parameters = (part.strip() for part in head.split(";"))
    if "base64" in (parameter.lower() for parameter in parameters):
        text = base64.b64decode(unquote_to_bytes(data), validate=True).decode()
    else:
        text = unquote_plus(data)
    if media_type.lower().startswith("multipart/"):
        return _last_alternative(head, text)
    if media_type.lower() != "application/sdp":
        raise ValueError(f"not a session description but {media_type}")
    return text


def _last_alternative(head: str, text: str) -> str:
    message = email.message_from_string(f"Content-Type: {head}\r\n\r\n{text}", policy=email.policy.default)
    found = [part.get_content() for part in message.walk() if part.get_content_type() == "application/sdp"]
    if not found:
        raise ValueError("no alternative is a session description")
    last = found[-1]
    return last.decode() if isinstance(last, bytes) else str(last)
