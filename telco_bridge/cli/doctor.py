"""`telco-bridge doctor`: why a webhook was refused, told without the secret that it was checked with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.text import Text

from ..errors import TelcoBridgeError
from ..provider import Capture, Diagnosis, Profile, ProviderPlugin

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

__all__ = ["diagnose", "show"]


def diagnose(plugin: ProviderPlugin[BaseModel], profile: Profile[BaseModel], capture: Capture) -> Diagnosis:
    """Return what the plugin makes of the request. Raises `TelcoBridgeError` where its provider signs nothing."""
    if plugin.diagnose is None:
        raise TelcoBridgeError(
            f"provider {plugin.name!r} cannot explain webhooks: it has none, or its plugin brings no diagnosis"
        )
    return plugin.diagnose(profile.config, capture)


def show(console: Console, capture: Capture, diagnosis: Diagnosis) -> None:
    """Print the verdict, the addresses, and every finding with its remedy."""
    checked = _harmless(_without_credentials(capture.request.url))
    lines = [Text(), _verdict(diagnosis), Text()]
    lines.append(Text.assemble("  the bridge checks  ", (f"{_harmless(capture.request.method)} {checked}", "provider")))
    if diagnosis.signed is not None:
        lines.append(Text.assemble("  what was signed    ", (_harmless(diagnosis.signed), "provider")))
    for finding in diagnosis.findings:
        lines += [Text(), Text.assemble("  • ", _harmless(finding.fact))]
        if finding.remedy:
            lines.append(Text.assemble("    → ", (_harmless(finding.remedy), "app")))
    for line in lines:
        console.print(line, soft_wrap=True)


def _verdict(diagnosis: Diagnosis) -> Text:
    if diagnosis.accepted:
        return Text("  ✓ the bridge accepts this request", "good")
    if diagnosis.signed is not None:
        return Text("  ✗ the bridge refuses this request; a variant of it matches the signature", "bad")
    return Text(f"  ✗ the bridge refuses this request, and none of {diagnosis.tried} variants matches", "bad")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _harmless(text: str) -> str:
    """The text without anything that a terminal would obey: a forger may have written it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
