"""As much of SIP as a far end on loopback needs: requests read, responses and hang-ups written."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Request", "answer", "bye", "description", "read"]

_REQUEST = re.compile(r"([A-Z]+) (\S+) SIP/2\.0$")
_USER = re.compile(r"<?sips?:([^@;>]+)@", re.IGNORECASE)
_URI = re.compile(r"<([^>]+)>")
_WAY = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", re.MULTILINE)
_COPIED = ("via", "from", "to", "call-id", "cseq")


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its headers by lower-case name, each with all its values."""

    method: str
    uri: str
    headers: dict[str, list[str]]
    body: str

    def header(self, name: str) -> str:
        """The first value; empty where there is none."""
        return self.headers.get(name, [""])[0]

    @property
    def call_id(self) -> str:
        """Which call it belongs to."""
        return self.header("call-id")

    @property
    def callee(self) -> str:
        """Who is called: a number as it is, anything else as a SIP address."""
        found = _USER.match(self.uri)
        user = found[1] if found is not None else self.uri
        return user if user.startswith("+") else self.uri.partition(";")[0]

    @property
    def caller(self) -> str:
        """Who calls."""
        found = _URI.search(self.header("from"))
        return found[1] if found is not None else self.header("from")

    @property
    def in_dialog(self) -> bool:
        """Whether it is about a call that we have answered already, in one way or another."""
        return ";tag=" in self.header("to")

    @property
    def way(self) -> str:
        """Which way its sender lets audio flow."""
        found = _WAY.search(self.body)
        return found[1] if found is not None else "sendrecv"


def read(data: bytes) -> Request | None:
    """Return the request; None for responses, and for what is no SIP."""
    head, _, body = data.decode("utf-8", errors="replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    begins = _REQUEST.match(first)
    if begins is None:
        return None
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    if not headers.get("call-id"):
        return None
    return Request(begins[1], begins[2], headers, body)


def answer(request: Request, status: int, phrase: str, *, tag: str, contact: str = "", sdp: str = "") -> bytes:
    """Return a response to the request."""
    lines = [f"SIP/2.0 {status} {phrase}"]
    for name in _COPIED:
        for value in request.headers.get(name, ()):
            tagged = name == "to" and status > 100 and ";tag=" not in value
            lines.append(f"{name.title()}: {value}{f';tag={tag}' if tagged else ''}")
    if contact:
        lines.append(f"Contact: <{contact}>")
    return _message(lines, sdp)


def bye(invitation: Request, *, tag: str, branch: str, host: str) -> bytes:
    """Return the request by which the called party hangs up."""
    contact = _URI.search(invitation.header("contact"))
    to = invitation.header("to")
    lines = [
        f"BYE {contact[1] if contact is not None else invitation.caller} SIP/2.0",
        f"Via: SIP/2.0/UDP {host};branch=z9hG4bK{branch}",
        f"From: {to}" + ("" if ";tag=" in to else f";tag={tag}"),
        f"To: {invitation.header('from')}",
        f"Call-Id: {invitation.call_id}",
        "Cseq: 1 BYE",
        "Max-Forwards: 70",
    ]
    return _message(lines, "")


def description(host: str, port: int, way: str) -> str:
    """Return the session description of a party that takes G.711 and keys, and lets audio flow that way."""
    return "\r\n".join(
        (
            "v=0",
            f"o=- 1 1 IN IP4 {host}",
            "s=sandbox",
            f"c=IN IP4 {host}",
            "t=0 0",
            f"m=audio {port} RTP/AVP 0 101",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            f"a={way}",
            "",
        )
    )


def _message(lines: list[str], sdp: str) -> bytes:
    if sdp:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(sdp.encode())}")
    return ("\r\n".join(lines) + "\r\n\r\n" + sdp).encode()
