"""Web tickets: the challenge, the token endpoint, and which tokens are good where."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from .answers import Answer
from .inputs import Ask
from .pool import Pool

__all__ = ["Tickets"]

_GRANTS = "urn:microsoft.rtc:windows,urn:microsoft.rtc:anonmeeting,password"
_PAGE = "<html><head><title>401 - Unauthorized</title></head><body><h1>401 - Unauthorized</h1></body></html>"


class Tickets:
    """The tokens of one server, each good for the host that issued it until it expires on the network's clock."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._tokens: dict[str, tuple[str, float]] = {}
        self._issuer = pool.guid()
        self.place = pool.directory.place("oauthtoken", absolute=True, guarded=False, post=self._issue)

    def good(self, ask: Ask) -> bool:
        """Whether the request carries a token that is good for this host now."""
        token = self._presented(ask)
        host, expires = self._tokens.get(token, ("", 0.0))
        return bool(token) and host == ask.host and self._pool.now() < expires

    def expire(self, ask: Ask) -> None:
        """The token of this request is good no longer."""
        self._tokens.pop(self._presented(ask), None)

    @staticmethod
    def _presented(ask: Ask) -> str:
        scheme, _, token = ask.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def challenge(self, ask: Ask) -> Answer:
        """Return the refusal that names the two ways to a token, in two headers."""
        return Answer(
            401,
            html=_PAGE,
            headers=[
                (
                    "WWW-Authenticate",
                    f'Bearer trusted_issuers="{self._issuer}@sandbox.test", client_id="{self._issuer}"',
                ),
                ("WWW-Authenticate", f'MsRtcOAuth href="http://{ask.host}{self.place.path}",grant_type="{_GRANTS}"'),
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
        if grant != "password":
            return self._refuse("unsupported_grant_type")
        if "username" not in form or "password" not in form:
            return self._refuse("invalid_request")
        if not self._knows(form):
            return self._refuse("invalid_grant")
        token = f"cwt={self._pool.directory.word(48)}"
        lifetime = self._pool.settings.token_lifetime
        self._tokens[token] = (ask.host, self._pool.now() + lifetime)
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

    @staticmethod
    def _refuse(error: str) -> Answer:
        return Answer(
            400,
            {"error": error},
            headers=[("X-Ms-diagnostics", f'28029;source="sandbox.test";reason="The request for a token: {error}."')],
            note=error,
        )
