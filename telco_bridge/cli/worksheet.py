"""`telco-bridge diff`: a comparison of two providers as the worksheet of a migration, in a terminal or as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .. import _discovery
from ..capabilities import Support, SupportLevel
from ..errors import TelcoBridgeError
from .comparison import Ability, Comparison, Reason, Verdict, Word, compare, tally

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["markdown", "show", "terminal", "worksheet"]

_LEVELS = {
    SupportLevel.FULL: "yes",
    SupportLevel.EMULATED: "emulated",
    SupportLevel.NOT_IMPLEMENTED: "not yet",
    SupportLevel.PROVIDER_CANNOT: "cannot",
    SupportLevel.UNKNOWN: "unknown",
}
_STYLES = {
    Verdict.SAME: "good",
    Verdict.EMULATED: "progress",
    Verdict.COARSER: "progress",
    Verdict.LOST: "bad",
    Verdict.GAINED: "stream",
    Verdict.NEITHER: "quiet",
}
_NOTHING = "–"
_ANSWERED = " once answered"
_LEGEND = (
    "A word marked *(lossy)* and its reason do not mean quite the same. A reason that is lost arrives as another one, "
    "which is named where it is known, or as unknown with the provider's words beside it."
)


def worksheet(before: str, after: str) -> Comparison:
    """Return the comparison of two installed providers. Raises `PluginError`, or `TelcoBridgeError` for twice one."""
    if before == after:
        raise TelcoBridgeError(f"{before!r} was named twice: name two providers; `telco-bridge providers` lists them")
    return compare(_discovery.load(before), _discovery.load(after))


def show(console: Console, comparison: Comparison) -> None:
    """Print the worksheet."""
    console.print(terminal(comparison))


def _summary(comparison: Comparison) -> Iterator[tuple[Verdict, int, int, int, str]]:
    """Each verdict with how many abilities, reasons and outward reasons have it, and what it means."""
    tables = [tally(rows) for rows in (comparison.abilities, comparison.reasons, comparison.outward)]
    meanings = _meanings(comparison.before, comparison.after)
    for verdict in Verdict:
        abilities, reasons, outward = (table.get(verdict, 0) for table in tables)
        yield verdict, abilities, reasons, outward, meanings[verdict]


def _meanings(before: str, after: str) -> dict[Verdict, str]:
    return {
        Verdict.SAME: f"{after} has it as well",
        Verdict.EMULATED: f"{after} does it by a detour: read its note",
        Verdict.COARSER: f"{after} has only lossy words for it",
        Verdict.LOST: f"{before} has it and {after} has not",
        Verdict.GAINED: f"{after} has it and {before} has not",
        Verdict.NEITHER: "neither has it",
    }


def _words_of(name: str) -> str:
    return name.replace("_", " ")


def _fate(reason: Reason) -> str:
    """The verdict, with what a lost reason becomes where that is known."""
    becomes = ", ".join(_words_of(other) for other in reason.becomes)
    return f"{reason.verdict}, becomes {becomes}" if becomes else str(reason.verdict)


def _by_dialect(words: Sequence[Word]) -> dict[str, list[Word]]:
    found: dict[str, list[Word]] = {}
    for word in words:
        found.setdefault(word.dialect, []).append(word)
    return found


# In a terminal


def terminal(comparison: Comparison) -> RenderableType:
    """Return the worksheet as tables for a console with the theme of the commands."""
    before, after = comparison.before, comparison.after
    summary = _table("after moving", "abilities", "reasons", "outward reasons", "")
    for verdict, *counts, meaning in _summary(comparison):
        numbers = [Text(str(count) if count else _NOTHING, justify="right") for count in counts]
        summary.add_row(_verdict(verdict), *numbers, Text(meaning, "quiet"))
    abilities = _table("capability", before, after, "after moving")
    for ability in comparison.abilities:
        abilities.add_row(
            _words_of(ability.capability), _level(ability.before), _level(ability.after), _verdict(ability.verdict)
        )
    title = Text.assemble("\n  moving from ", (before, "provider"), " to ", (after, "provider"))
    legend = Text("  ~ lossy: the word and its reason do not mean quite the same", "quiet")
    return Group(
        title,
        summary,
        Text("  what can be asked of a call", "bold"),
        abilities,
        Text("  why a call or a stream ended: what the provider says", "bold"),
        legend,
        _reasons(comparison.reasons, before, after),
        Text("  why we end it: what the provider can be told", "bold"),
        _reasons(comparison.outward, before, after),
    )


def _table(first: str, *columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=True)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _reasons(reasons: Sequence[Reason], before: str, after: str) -> Table:
    table = _table("reason", before, after, "after moving")
    for reason in reasons:
        fate = Text(_fate(reason), _STYLES[reason.verdict])
        table.add_row(_words_of(reason.neutral), _said(reason.before), _said(reason.after), fate)
    return table


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict, _STYLES[verdict])


def _level(support: Support) -> Text:
    note = (f"\n{support.note}", "quiet") if support.note else ""
    return Text.assemble(_LEVELS[support.level], note)


def _said(words: Sequence[Word]) -> Text:
    lines = (
        Text.assemble((f"{dialect}: ", "quiet"), ", ".join(_marked(word) for word in group))
        for dialect, group in _by_dialect(words).items()
    )
    return Text("\n").join(lines) if words else Text(_NOTHING, "quiet")


def _marked(word: Word) -> str:
    return ("~" if word.lossy else "") + word.native + (_ANSWERED if word.answered else "")


# As Markdown


def markdown(comparison: Comparison) -> str:
    """Return the worksheet as Markdown with tables (GFM), ready to be kept in a file and annotated."""
    before, after = comparison.before, comparison.after
    sides = (f"`{before}`", f"`{after}`")
    blocks = [
        f"# Moving from `{before}` to `{after}`",
        _rows(
            ("after moving", "abilities", "reasons", "outward reasons", "meaning"),
            [(verdict, *map(str, counts), meaning) for verdict, *counts, meaning in _summary(comparison)],
        ),
        _LEGEND,
        "## What can be asked of a call",
        _rows(
            ("capability", sides[0], "note", sides[1], "note", "after moving"),
            [_ability(ability) for ability in comparison.abilities],
        ),
        "## Why a call or a stream ended: what the provider says",
        _rows(("reason", *sides, "after moving"), [_reason(reason) for reason in comparison.reasons]),
        "## Why we end it: what the provider can be told",
        _rows(("reason", *sides, "after moving"), [_reason(reason) for reason in comparison.outward]),
    ]
    return "\n\n".join(blocks) + "\n"


def _ability(ability: Ability) -> tuple[str, ...]:
    before, after = ability.before, ability.after
    sides = (_LEVELS[before.level], _plain(before.note), _LEVELS[after.level], _plain(after.note))
    return (_words_of(ability.capability), *sides, str(ability.verdict))


def _reason(reason: Reason) -> tuple[str, ...]:
    return (_words_of(reason.neutral), _listed(reason.before), _listed(reason.after), _fate(reason))


def _listed(words: Sequence[Word]) -> str:
    groups = (
        f"{_plain(dialect)}: " + ", ".join(_annotated(word) for word in group)
        for dialect, group in _by_dialect(words).items()
    )
    return "; ".join(groups)


def _annotated(word: Word) -> str:
    return _plain(word.native) + (_ANSWERED if word.answered else "") + (" *(lossy)*" if word.lossy else "")


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell or _NOTHING for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """The text on one line, in which nothing is Markdown, least of all a pipe."""
    line = " ".join(text.split())
    # An underscore inside a word is no emphasis, and words are easier to read as they are.
    return re.sub(r"[\\`*<>\[\]|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", line)
