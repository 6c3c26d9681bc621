"""The commands, their options, and how an error leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import TelcoBridgeError

__all__ = ["app"]

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The TOML file; TELCO_BRIDGE_CONFIG by default.")
]
Chosen = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The profile in it.")]


class _Commands(TyperGroup):
    """Commands whose errors are one line, not a traceback. A provider's own are looked for when they are asked for."""

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override]
        own = cast("TyperCommand | TyperGroup | None", super().get_command(ctx, cmd_name))
        if own is not None:
            return own
        from . import extension

        return extension.group(cmd_name)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except TelcoBridgeError as error:
            typer.echo(f"telco-bridge: {error}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    help="One way to control phone calls on any phone system.",
    epilog="A provider may bring commands of its own: telco-bridge PROVIDER --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def providers(
    name: Annotated[str | None, typer.Argument(help="Show the settings and abilities of this provider.")] = None,
) -> None:
    """List the providers that are installed, or describe one."""
    from . import listing
    from .console import open_console

    console = open_console()
    if name is None:
        listing.show_all(console)
    else:
        listing.show_one(console, name)


@app.command()
def sandbox(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PROVIDER]...", help="Whose protocols to serve; all by default.")
    ] = None,
    *,
    speed: Annotated[float, typer.Option(min=0.01, help="How fast the network's time runs.")] = 1.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not show what goes over the wire.")] = False,
) -> None:
    """Serve a phone network on this machine, with magic numbers and without an account, until Ctrl-C."""
    from . import network
    from .console import open_console

    network.serve(open_console(), names or (), speed=speed, quiet=quiet)


@app.command()
def demo(
    provider: Annotated[
        list[str] | None, typer.Option(help="Run on this provider only; may be repeated. All by default.")
    ] = None,
    *,
    speed: Annotated[float, typer.Option(min=0.01, help="How fast the network's time runs.")] = 20.0,
) -> None:
    """Run the same calls on every provider, side by side, and compare how they end."""
    from . import demo as demonstration
    from .console import open_console

    if not demonstration.run(open_console(), provider or (), speed=speed):
        raise typer.Exit(1)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="The provider that a program uses today.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The provider that it moves to.")],
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown, to be kept in a file.")] = False,
) -> None:
    """Compare what two providers can do and say: the worksheet of a migration from A to B."""
    from . import worksheet
    from .console import open_console

    console = open_console()
    comparison = worksheet.worksheet(before, after)
    if markdown:
        typer.echo(worksheet.markdown(comparison), nl=False)
    else:
        worksheet.show(console, comparison)


@app.command()
def new_plugin(
    name: Annotated[str, typer.Argument(help="What the provider will be called: a lower-case word.")],
    *,
    into: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write it into.")] = Path(),
) -> None:
    """Write a plugin for a provider of your own, as a distribution that works and proves it from the start."""
    from . import template
    from .console import open_console

    template.show(open_console(), template.write(name, into))


_doctor = typer.Typer(help="Find out why something does not work.", no_args_is_help=True)
app.add_typer(_doctor, name="doctor")


@_doctor.callback()
def _group() -> None:
    """Make `doctor` a group, although it knows one thing only."""


@_doctor.command()
def webhook(
    *,
    url: Annotated[str | None, typer.Option(help="The address at which the request was caught.")] = None,
    body: Annotated[str | None, typer.Option(metavar="FILE", help="Its body; - for standard input.")] = None,
    signature: Annotated[str | None, typer.Option(help="The signature, where no --header holds it.")] = None,
    method: Annotated[str, typer.Option(help="Its method.")] = "POST",
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="A header of it; may be repeated.")
    ] = None,
    request: Annotated[
        str | None, typer.Option(metavar="FILE", help="The whole HTTP request, instead; - for standard input.")
    ] = None,
    config: Config = None,
    profile: Chosen = None,
) -> None:
    """Explain why the signature of a captured webhook did not match; ends with 0 where the bridge accepts it."""
    from . import capture, doctor, profiles
    from .console import open_console

    plugin, settings = profiles.chosen(config, profile)
    if request is not None:
        if body is not None or header:
            raise TelcoBridgeError("--request holds the whole request: leave out --body and --header")
        caught = capture.parse(capture.read_bytes(request), url=url)
    elif url is not None:
        content = capture.read_bytes(body) if body is not None else b""
        caught = capture.from_options(method=method, url=url, headers=header or (), body=content)
    else:
        raise TelcoBridgeError("which request? Give --url, --body and --signature, or a whole one with --request")
    seen = capture.as_the_bridge_sees_it(caught, public_url=settings.public_url, signature=signature)
    diagnosis = doctor.diagnose(plugin, settings, seen)
    doctor.show(open_console(), seen, diagnosis)
    if not diagnosis.accepted:
        raise typer.Exit(1)
