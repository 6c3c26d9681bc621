"""What the commands write to: colours on a terminal, wide and plain lines everywhere else."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console
from rich.theme import Theme

__all__ = ["THEME", "WIDEST", "open_console"]

WIDEST = 140
"""Columns beyond which a line is hard to read."""

_PLAIN = 120

THEME = Theme(
    {
        "provider": "bold cyan",
        "app": "bold",
        "sent": "blue",
        "heard": "magenta",
        "progress": "yellow",
        "up": "green",
        "stream": "cyan",
        "end": "bold",
        "good": "green",
        "bad": "bold red",
        "quiet": "bright_black",
    }
)
"""The styles of all commands, by what they stand for."""


def open_console() -> Console:
    """Return a console on standard output, which never fails for a character that its encoding lacks."""
    stdout: object = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="replace")
    console = Console(theme=THEME, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PLAIN
    console.width = min(console.width, WIDEST)
    return console
