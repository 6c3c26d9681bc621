"""Why the signature of a captured webhook did not match: the variants that would, and what to set. It tells no secret.

Only a variant that one of the configured secrets really signs is called a match, so a forged request never is one.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace

from telco_bridge.provider import Capture, Diagnosis, Finding, WebRequest
from telco_bridge_laml.wire import is_form

from .addresses import Address, masked, split
from .config import SignalWireConfig
from .search import Match, Search, claimed, is_whole
from .signature import HEADERS, is_signed
from .variants import contents

__all__ = ["diagnose"]

_KEY_PREFIX = "PSK_"


def diagnose(config: SignalWireConfig, capture: Capture) -> Diagnosis:
    """Explain a captured request: whether the bridge accepts it, which variant of it was signed, and what to change."""
    request = capture.request
    if capture.signature is not None:
        others = {name: value for name, value in request.headers.items() if name not in HEADERS}
        request = replace(request, headers={**others, HEADERS[0]: capture.signature})
        capture = replace(capture, request=request)
    reachable = capture.public_url is None or _is_endpoint(request.path)
    search = Search(capture, config)
    match = search.find()
    if reachable and is_signed(request, config.signing_keys):
        return Diagnosis(
            accepted=True,
            signed=masked(str(match.address)) if match is not None else masked(request.url),
            tried=search.tried,
            findings=tuple(_of_the_key_before(config, request)),
        )
    if match is None:
        findings = tuple(_unexplained(config, capture))
        return Diagnosis(accepted=False, tried=search.tried, findings=findings)
    return Diagnosis(
        accepted=False,
        signed=masked(str(match.address)),
        tried=search.tried,
        findings=tuple(_explained(config, capture, match)),
    )


def _is_endpoint(path: str) -> bool:
    """Whether a path below the public URL has the form of the bridge's webhooks, which is one word."""
    return bool(path.strip("/")) and "/" not in path.strip("/")


def _of_the_key_before(config: SignalWireConfig, request: WebRequest) -> Iterator[Finding]:
    if not is_signed(request, config.signing_keys[:1]):
        yield Finding(
            fact="It is signed with previous_signing_key: SignalWire still uses the key before the rotation.",
            remedy="keep both keys until this is no longer told; SignalWire needs about a minute",
        )


# Where a variant matches


def _explained(config: SignalWireConfig, capture: Capture, match: Match) -> Iterator[Finding]:
    found = [
        finding
        for finding in (match.key.finding, match.claim.finding, match.content and match.content.finding)
        if isinstance(finding, Finding)
    ]
    yield from found
    if match.content is None:
        yield Finding(
            fact="It is signed as SWML and RELAY requests are (hexadecimal, over the raw body), not as cXML is.",
            remedy="let the number at SignalWire handle calls with a cXML (LaML) webhook, not with SWML or RELAY",
        )
    elsewhere = list(
        _of_the_address(capture, match.address, moved=match.content is not None and match.content.queries is not None)
    )
    yield from elsewhere
    if not found and not elsewhere and match.content is not None:
        yield Finding(
            fact=f"The signature is right, but the bridge has no webhook at /{capture.request.path}.",
            remedy="point SignalWire at the path voice below web.public_url, or at status for status callbacks",
        )


def _of_the_address(capture: Capture, signed: Address, *, moved: bool) -> Iterator[Finding]:
    """Where the address that was signed differs from the one that the bridge checks, and cannot know better."""
    checked = split(capture.request.url)
    if checked is None:
        yield Finding(
            fact="The address of the request is malformed.",
            remedy="pass the address that is configured at SignalWire as --url",
        )
        return
    if signed.credentials is not None:
        yield Finding(
            fact="SignalWire was given an address with user and password, which the bridge does not know.",
            remedy="take them out of the address at SignalWire: the signature is what protects the bridge",
        )
    if signed.fragment is not None:
        yield Finding(
            fact=f"The signature covers the fragment #{signed.fragment}, which no server ever sees.",
            remedy="take the fragment out of the address at SignalWire",
        )
    base, rest = _divided(signed, capture.request.path)
    known, _ = _divided(checked, capture.request.path)
    if base is not None and (
        base != known or (capture.public_url is not None and not _is_endpoint(capture.request.path))
    ):
        yield _public_url(capture, base, checked, signed)
    if rest is not None and rest != "" and not checked.path.endswith("/"):
        yield Finding(
            fact="SignalWire was given the address with a final slash, which was taken off on the way.",
            remedy="take it off at SignalWire too, or let the proxy pass the path on as it is",
        )
    elif rest == "" and checked.path.endswith("/"):
        yield Finding(
            fact="SignalWire was given the address without the final slash that it arrived with.",
            remedy="let the proxy, or the framework, not add one",
        )
    elif rest is None and signed.path != checked.path:
        yield Finding(
            fact=f"The path was rewritten: {signed.path or '/'} was signed, {checked.path or '/'} is checked.",
            remedy="let the proxy pass the path on as it is",
        )
    if signed.query != checked.query and not moved:
        how = "was lost" if not checked.query else "was added" if not signed.query else "was written anew"
        yield Finding(
            fact=f"The query of the address {how} on the way.",
            remedy="let the proxy, or the framework, pass the query on as it came",
        )


def _divided(address: Address, path: str) -> tuple[str | None, str | None]:
    """What is above a webhook's path, and what follows it; None, None where the address does not lead there."""
    word = path.strip("/").rpartition("/")[2]
    plain = address.path.rstrip("/")
    if not word or not plain.endswith(f"/{word}"):
        return None, None
    base = replace(
        address, credentials=None, port=address.own_port, path=plain[: -len(word) - 1], query=None, fragment=None
    )
    return str(base).rstrip("/"), address.path[len(plain) :]


def _public_url(capture: Capture, base: str, checked: Address, signed: Address) -> Finding:
    different = [
        f"the {what} is {theirs or 'none'}, not {ours or 'none'}"
        for what, theirs, ours in (
            ("scheme", signed.scheme, checked.scheme),
            ("host", signed.host, checked.host),
            ("port", signed.own_port, checked.own_port),
            ("path", signed.path, checked.path),
        )
        if theirs != ours
    ]
    fact = (
        f"SignalWire was given another address: {', '.join(different)}."
        if different
        else ("The bridge is not where web.public_url says.")
    )
    if capture.public_url is None:
        fact += " web.public_url is not set, so the bridge goes by the request, which a proxy may have changed."
    mounted = split(base)
    below = mounted.path if mounted is not None else ""
    advice = f'set web.public_url = "{base}"'
    if below and below != (split(capture.public_url or "") or checked).path:
        advice += f"; and let the proxy take {below} off the path, or mount bridge.asgi there"
    return Finding(fact=fact, remedy=advice)


# Where none matches


def _unexplained(config: SignalWireConfig, capture: Capture) -> Iterator[Finding]:
    request = capture.request
    signature = claimed(request)
    if signature is None:
        yield Finding(
            fact="The request carries no signature: there is no header X-SignalWire-Signature.",
            remedy="if SignalWire sent it, a proxy takes the header off; a capture without headers needs --signature",
        )
        return
    if not is_whole(signature):
        yield Finding(
            fact=f"The signature is not whole: it has {len(signature)} characters, where SignalWire sends 28.",
            remedy="capture the header again, as it came",
        )
    yield from _of_the_settings(config)
    form = contents(request)[0].form
    project = next((value for name, value in form if name == "AccountSid"), None)
    if project is not None and project != config.project:
        yield Finding(
            fact=f"The request says that it is of the project {project}; the settings are those of {config.project}.",
            remedy="the key is another project's: set signing_key to that project's, or use a profile of its own",
        )
    yield from _of_the_body(request)
    if capture.public_url is None:
        yield Finding(
            fact="web.public_url is not set, so the bridge goes by the request, which a proxy may have changed.",
            remedy="set web.public_url to the address that SignalWire is given",
        )
    yield Finding(
        fact="What is left: the key is not the one that signed, the body is not the one that was sent, or the address "
        "at SignalWire is one that nothing in this request tells.",
        remedy="compare signing_key with the Signing Key of the project in SignalWire's dashboard; capture the body "
        "before anything parses it; pass the address that is configured at SignalWire as --url",
    )


def _of_the_settings(config: SignalWireConfig) -> Iterator[Finding]:
    key = config.signing_key.get_secret_value() if config.signing_key is not None else None
    if key is None:
        yield Finding(
            fact="signing_key is not set, so no webhook can be checked.",
            remedy="set it to the Signing Key (PSK_…), which SignalWire's dashboard shows beside the API tokens",
        )
    elif hmac.compare_digest(key.encode(), config.token.get_secret_value().encode()):
        yield Finding(
            fact="signing_key and token are the same; SignalWire signs with a secret of its own.",
            remedy="set signing_key to the project's Signing Key (PSK_…)",
        )
    elif not key.startswith(_KEY_PREFIX):
        yield Finding(
            fact=f"signing_key does not begin with {_KEY_PREFIX}, as SignalWire's Signing Keys do.",
            remedy="compare it with the project's Signing Key in SignalWire's dashboard",
        )


def _of_the_body(request: WebRequest) -> Iterator[Finding]:
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdecimal() and int(said) != len(request.body):
        yield Finding(
            fact=f"The body has {len(request.body)} bytes, and Content-Length says {said}: it was changed on the way.",
            remedy="it was parsed and written anew, or cut off: give the bridge the bytes as they came",
        )
    if request.method != "GET" and request.body and not is_form(request.headers.get("content-type")):
        yield Finding(
            fact="The body is no form by its Content-Type; SignalWire sends cXML webhooks as forms.",
            remedy="let the proxy pass body and Content-Type on as they came",
        )
    if request.method != "GET" and not request.body:
        yield Finding(
            fact="The body is empty; SignalWire's POST requests carry a form. A redirected request loses it.",
            remedy="point SignalWire at the final address, and pass the captured body with --body",
        )
