"""Web tickets: the challenge, the token endpoint, and which tokens are good where."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from .answers import Answer
from .inputs import Ask
from .pool import Pool
from .windows import Windows

__all__ = ["Tickets"]

_REMEMBERED = 10_000
_PAGE = "<html><head><title>401 - Unauthorized</title></head><body><h1>401 - Unauthorized</h1></body></html>"


_GUEST = "urn:microsoft.rtc:anonmeeting"
_PASSIVE = "urn:microsoft.rtc:passive"
_WINDOWS = "urn:microsoft.rtc:windows"


@dataclass(frozen=True, slots=True)
class _Ticket:
    """What a token stands for: where it is good, until when, and for which guest, if not for the user."""

    host: str
    expires: float
    guest: str | None


class Tickets:
    """The tokens of one server, each good for the host that issued it until it expires on the network's clock."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._tokens: dict[str, _Ticket] = {}
        self._issuer = pool.guid()
        self._windows = Windows(pool)
        self.place = pool.directory.place("oauthtoken", absolute=True, guarded=False, post=self._issue)

    def good(self, ask: Ask) -> bool:
        """Whether the request carries a token that is good for this host now."""
        ticket = self._tokens.get(self._presented(ask))
        return ticket is not None and ticket.host == ask.host and self._pool.now() < ticket.expires

    def guest(self, ask: Ask) -> str | None:
        """Return who asks, where it is somebody who may only join a meeting; None for the user."""
        ticket = self._tokens.get(self._presented(ask))
        return ticket.guest if ticket is not None else None

    def expire(self, ask: Ask) -> None:
        """The token of this request is good no longer, except for its renewal."""
        ticket = self._tokens.get(self._presented(ask))
        if ticket is not None:
            self._tokens[self._presented(ask)] = replace(ticket, expires=self._pool.now())

    @staticmethod
    def _presented(ask: Ask) -> str:
        scheme, _, token = ask.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def challenge(self, ask: Ask) -> Answer:
        """Return the refusal that names the two ways to a token, in two headers."""
        grants = ",".join(self._pool.settings.grants)
        invalid = [
            ("Warning", '120 pool.sandbox.test "InvalidToken"'),
            ("X-Ms-diagnostics", '28055;source="pool.sandbox.test";reason="The OAuth token is invalid."'),
        ]
        status = self._pool.settings.token_refusal if self._presented(ask) else 401
        return Answer(
            status,
            html=_PAGE if status == 401 else None,
            headers=[
                *(invalid if status == 403 else ()),
                (
                    "WWW-Authenticate",
                    f'Bearer trusted_issuers="{self._issuer}@sandbox.test", client_id="{self._issuer}"',
                ),
                ("WWW-Authenticate", f'MsRtcOAuth href="http://{ask.host}{self.place.path}",grant_type="{grants}"'),
            ],
        )

    def _issue(self, ask: Ask) -> Answer:
        kind = ask.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return self._refuse("invalid_request")
        form = dict(parse_qsl(ask.body.decode("utf-8", "replace"), keep_blank_values=True))
        grant = form.get("grant_type")
        if not grant:
            return self._refuse("invalid_request")
        settings = self._pool.settings
        if grant not in settings.grants:
            return self._refuse("unsupported_grant_type")
        if form.get("scope", "all") != "all":
            return self._refuse("invalid_scope")
        if grant == _WINDOWS:
            # The web server's own sign-in: UCWA is reached only once it is passed.
            return self._windows.judge(ask, _PAGE) or self._give(ask, guest=None)
        if grant == _PASSIVE:
            passive = f"http://{ask.host}{self.place.path.rpartition('/')[0]}/PassiveAuth.aspx"
            return self._refuse("invalid_grant", ms_rtc_passiveauthuri=passive)
        guest: str | None = None
        wanted = ("ms_rtc_conferenceuri", "password") if grant == _GUEST else ("username", "password")
        if not all(form.get(name) for name in wanted):
            return self._refuse("invalid_request")
        if grant == _GUEST:
            if not self._may_join(form):
                return self._refuse("invalid_grant")
            renewed = self._tokens.get(form.get("ms_rtc_renew", ""))
            guest = (renewed.guest if renewed is not None else None) or self._pool.guid()
        elif not self._knows(form):
            return self._refuse("invalid_grant")
        return self._give(ask, guest=guest)

    def _give(self, ask: Ask, *, guest: str | None) -> Answer:
        settings = self._pool.settings
        token = f"cwt={self._pool.directory.word(48)}"
        lifetime = settings.token_lifetime if guest is None else settings.guest_token_lifetime
        self._tokens[token] = _Ticket(ask.host, self._pool.now() + lifetime, guest)
        if len(self._tokens) > _REMEMBERED:
            del self._tokens[next(iter(self._tokens))]
        return Answer(
            200,
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": int(lifetime),
                "ms_rtc_identityscope": "local",
            },
        )

    def _knows(self, form: Mapping[str, str]) -> bool:
        """Whether the name is the user's, as SIP address or UPN, and the password too."""
        settings = self._pool.settings
        name = form["username"].lower().removeprefix("sip:")
        same = hmac.compare_digest(form["password"].encode(), settings.password.encode())
        return name == settings.username.lower() and same

    def _may_join(self, form: Mapping[str, str]) -> bool:
        settings = self._pool.settings
        same = hmac.compare_digest(form["password"].encode(), settings.conference_key.encode())
        return form["ms_rtc_conferenceuri"] == settings.conference_uri and same

    @staticmethod
    def _refuse(error: str, **more: str) -> Answer:
        return Answer(
            400,
            {"error": error, **more},
            headers=[("X-Ms-diagnostics", f'28029;source="sandbox.test";reason="The request for a token: {error}."')],
            note=error,
        )
