"""`telco-bridge ucwa …`: what can be found out about a Skype for Business server from the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from telco_bridge.provider import SystemClock

from .config import UcwaConfig

if TYPE_CHECKING:
    from telco_bridge.provider import ReadProfile

    from .diagnosis import Step

__all__ = ["add_commands", "show"]


def add_commands(app: typer.Typer, profiles: ReadProfile[UcwaConfig]) -> None:
    """Add the commands of this provider to its group."""

    @app.command()
    def sign_in(
        *,
        config: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The TOML file; TELCO_BRIDGE_CONFIG by default.")
        ] = None,
        profile: Annotated[str | None, typer.Option(metavar="NAME", help="The profile in it.")] = None,
    ) -> None:
        """Sign in step by step, and out again: what was found, what is refused, and what the user may do."""
        from .diagnosis import diagnose

        chosen = profiles(config, profile=profile)
        if not anyio.run(partial(diagnose, chosen.config, show, clock=SystemClock())):
            raise typer.Exit(1)


def show(step: Step) -> None:
    """Print a step in one line."""
    # A server's words are not obeyed by the terminal.
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in step.fact)
    typer.echo(f"{'✓' if step.passed else '✗'} {plain}")
