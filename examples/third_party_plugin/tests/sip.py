"""As much of SIP as a bystander needs who counts calls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Message", "read"]

_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: |$)")
_REQUEST = re.compile(r"([A-Z]+) (\S+) SIP/2\.0$")
_AUDIO = re.compile(r"^m=audio ([0-9]+) ", re.MULTILINE)
_HOST = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)
_WAY = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Message:
    """A request (with `method`) or a response (with `status`)."""

    method: str
    """The request's, or that of the request that is answered."""
    status: int | None
    number: int
    call_id: str
    headers: dict[str, str]
    body: str

    @property
    def begins(self) -> bool:
        """Whether it is an invitation to a call that did not exist before."""
        return self.method == "INVITE" and self.status is None and ";tag=" not in self.headers.get("to", "")

    @cached_property
    def audio(self) -> tuple[str, int] | None:
        """Where its sender wants to get audio."""
        host, port = _HOST.search(self.body), _AUDIO.search(self.body)
        return (host[1], int(port[1])) if host is not None and port is not None else None

    @cached_property
    def way(self) -> str | None:
        """Which way its sender lets audio flow; None where it does not speak of audio."""
        if self.audio is None:
            return None
        found = _WAY.search(self.body)
        return found[1] if found is not None else "sendrecv"


def read(data: bytes) -> Message | None:
    """Return the message; None for what is none, such as the empty lines that keep a path open."""
    head, _, body = data.decode("utf-8", errors="replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    number, _, method = headers.get("cseq", "").partition(" ")
    call_id = headers.get("call-id")
    status, request = _STATUS.match(first), _REQUEST.match(first)
    if call_id is None or not number.isdigit() or (status is None and request is None):
        return None
    return Message(
        method=method.strip(),
        status=int(status[1]) if status is not None else None,
        number=int(number),
        call_id=call_id,
        headers=headers,
        body=body,
    )
