"""`telco-bridge signalwire …`: what can be done with a SignalWire project from the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from telco_bridge.provider import AnswerLost, ConfigError, ProviderError, Refused
from telco_bridge_laml.config import is_dialable

from .addresses import masked, split
from .config import PROVIDER, SignalWireConfig
from .numbers import Change, Numbers, PhoneNumber, Routing, changes, open_numbers

if TYPE_CHECKING:
    from telco_bridge.provider import ReadProfile

__all__ = ["add_commands"]

_FEW = 5
_METHOD = "POST"
_WIDTH = 22


def add_commands(app: typer.Typer, profiles: ReadProfile[SignalWireConfig]) -> None:
    """Add the commands of this provider to its group."""

    @app.command()
    def route(
        number: Annotated[str, typer.Argument(metavar="NUMBER", help="The number (E.164), which the project owns.")],
        *,
        to: Annotated[
            str | None, typer.Option(metavar="URL", help="Where its calls go; to the bridge by default.")
        ] = None,
        status_callback: Annotated[
            str | None,
            typer.Option(metavar="URL", help="Where their ends are told; to the bridge where the calls go there."),
        ] = None,
        fallback: Annotated[
            str | None, typer.Option(metavar="URL", help="Who is asked where --to fails; stays as it is by default.")
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        config: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The TOML file; TELCO_BRIDGE_CONFIG by default.")
        ] = None,
        profile: Annotated[str | None, typer.Option(metavar="NAME", help="The profile in it.")] = None,
    ) -> None:
        """Point a phone number at the bridge, after showing what that changes."""
        chosen = profiles(config, profile=profile)
        if not (number.startswith("+") and is_dialable(number)):
            raise ConfigError(f"{number} is no number in E.164 form, such as +15551234567")
        if to is None:
            if chosen.public_url is None:
                raise ConfigError("where to? Set web.public_url in the profile, or say --to URL")
            to = f"{chosen.public_url}/voice"
        if status_callback is None and chosen.public_url is not None and to == f"{chosen.public_url}/voice":
            status_callback = f"{chosen.public_url}/status"
        for option, url in (("--to", to), ("--status-callback", status_callback), ("--fallback", fallback)):
            if url is not None and split(url) is None:
                raise ConfigError(f"{option} is no absolute http(s) address")
        goal = _Goal(to=to, status_callback=status_callback, fallback=fallback)
        anyio.run(partial(_route, chosen.config, number, goal, unasked=yes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goal:
    """Where calls shall go; None leaves a setting as it is."""

    to: str
    status_callback: str | None
    fallback: str | None

    def instead_of(self, present: Routing) -> Routing:
        """Return the routing after the change: an application would go before the address, so it is taken off."""
        routing = replace(present, voice_url=self.to, voice_method=_METHOD, application_sid=None)
        if self.status_callback is not None:
            routing = replace(routing, status_callback=self.status_callback, status_callback_method=_METHOD)
        if self.fallback is not None:
            routing = replace(routing, fallback_url=self.fallback, fallback_method=_METHOD)
        return routing


async def _route(config: SignalWireConfig, number: str, goal: _Goal, *, unasked: bool) -> None:
    async with open_numbers(config) as numbers:
        owned = await numbers.find(number)
        if owned is None:
            raise Refused(await _not_owned(numbers, number, config), provider=PROVIDER)
        wanted = goal.instead_of(owned.routing)
        differences = changes(owned.routing, wanted)
        _show(owned, differences)
        if not differences:
            typer.echo("nothing to change: its calls go there already")
            return
        if not unasked:
            typer.confirm("Change this number?", abort=True)
        lost: AnswerLost | None = None
        try:
            await numbers.route(owned, wanted)
        except AnswerLost as error:
            # Whether it was done is what reading tells.
            lost = error
        now = await numbers.read(owned.sid)
    left = changes(now.routing, wanted)
    if left and lost is not None:
        raise lost
    if left:
        said = ", ".join(f"{change.name} is {_value(change.before)}" for change in left)
        raise ProviderError(
            f"routing {number}: SignalWire accepted the change, and now says that {said}. Set it in the dashboard.",
            provider=PROVIDER,
        )
    typer.echo(f"set, and read back: {number} calls {_value(now.routing.voice_url)}")


async def _not_owned(numbers: Numbers, number: str, config: SignalWireConfig) -> str:
    owned = await numbers.first(_FEW + 1)
    if not owned:
        return f"the project {config.project} owns no number, and so not {number}"
    more = ", and more" if len(owned) > _FEW else ""
    listed = ", ".join(one.number for one in owned[:_FEW])
    return f"the project {config.project} does not own {number}; it owns {listed}{more}"


def _show(number: PhoneNumber, differences: tuple[Change, ...]) -> None:
    name = number.friendly_name
    typer.echo(number.number + (f"  {name}" if name is not None and name != number.number else ""))
    for change in differences:
        before = f"{_value(change.before)}  →  " if change.before != change.after else ""
        note = "  (an application would go before the address)" if change.name == "VoiceApplicationSid" else ""
        typer.echo(f"  {change.name:<{_WIDTH}}{before}{_value(change.after)}{note}")
    changed = {change.name for change in differences}
    if number.routing.fallback_url is not None and "VoiceFallbackUrl" not in changed:
        typer.echo(f"  {'VoiceFallbackUrl':<{_WIDTH}}{_value(number.routing.fallback_url)}  (stays)")


def _value(value: str | None) -> str:
    return "none" if value is None else masked(value)
