"""Two providers side by side: the verdicts, and the worksheet that shows them."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from telco_bridge import Capability, PluginContractError, PluginNotFound, Support, SupportLevel, TelcoBridgeError
from telco_bridge import TerminationReason as R
from telco_bridge.cli.comparison import Ability, Comparison, Reason, Verdict, Word, compare, tally
from telco_bridge.cli.console import THEME
from telco_bridge.cli.worksheet import markdown, show, worksheet
from telco_bridge.provider import CallView, Cause, Host, Phase, ProviderPlugin, ProviderSession, ReasonRow, Termination

V = Verdict


class Settings(BaseModel):
    """None."""

    model_config = ConfigDict(extra="forbid")


def explain(cause: Cause, view: CallView) -> Termination:
    """Say the reason that the cause names, and another one once people talk."""
    later = cause.detail.get("later")
    return Termination(reason=R(later if later and view.phase is Phase.ESTABLISHED else cause.code or "unknown"))


def possible(view: CallView) -> frozenset[Capability]:
    return frozenset()


@asynccontextmanager
async def connecting(config: BaseModel, host: Host) -> AsyncGenerator[ProviderSession]:
    raise NotImplementedError
    yield


def provider(
    name: str, *rows: ReasonRow, support: dict[Capability, Support] | None = None
) -> ProviderPlugin[BaseModel]:
    return ProviderPlugin(
        name=name,
        config_model=Settings,
        support=support or {},
        explain=explain,
        possible=possible,
        connect=connecting,
        reasons=rows,
    )


def says(neutral: R, native: str = "word", *, lossy: bool = False, later: R | None = None, **told: int) -> ReasonRow:
    detail = {"later": str(later)} if later is not None else {}
    cause = Cause(dialect="words", code=str(neutral), detail=detail, **told)
    return ReasonRow("words", native, neutral, lossy=lossy, cause=cause)


def is_told(neutral: R, native: str = "order", *, lossy: bool = False) -> ReasonRow:
    return ReasonRow("orders", native, neutral, outbound=True, lossy=lossy)


def ability(comparison: Comparison, capability: Capability) -> Ability:
    return next(row for row in comparison.abilities if row.capability is capability)


def reason(rows: Iterable[Reason], neutral: R) -> Reason:
    return next(row for row in rows if row.neutral is neutral)


# Verdicts


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (SupportLevel.FULL, SupportLevel.FULL, V.SAME),
        (SupportLevel.EMULATED, SupportLevel.FULL, V.SAME),
        (SupportLevel.FULL, SupportLevel.EMULATED, V.EMULATED),
        (SupportLevel.EMULATED, SupportLevel.EMULATED, V.EMULATED),
        (SupportLevel.FULL, SupportLevel.PROVIDER_CANNOT, V.LOST),
        (SupportLevel.EMULATED, SupportLevel.NOT_IMPLEMENTED, V.LOST),
        (SupportLevel.FULL, SupportLevel.UNKNOWN, V.LOST),
        (SupportLevel.NOT_IMPLEMENTED, SupportLevel.FULL, V.GAINED),
        (SupportLevel.UNKNOWN, SupportLevel.EMULATED, V.GAINED),
        (SupportLevel.PROVIDER_CANNOT, SupportLevel.NOT_IMPLEMENTED, V.NEITHER),
    ],
)
def test_an_ability_is_judged_by_what_can_be_used_on_both_sides(
    before: SupportLevel, after: SupportLevel, verdict: Verdict
) -> None:
    row = Ability(capability=Capability.HOLD, before=Support(before), after=Support(after))

    assert row.verdict is verdict


def test_what_a_plugin_does_not_declare_is_unknown() -> None:
    full = {Capability.HOLD: Support(SupportLevel.FULL)}

    row = ability(compare(provider("a", support=full), provider("b")), Capability.HOLD)

    assert (row.after.level, row.verdict) == (SupportLevel.UNKNOWN, V.LOST)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([says(R.BUSY)], [says(R.BUSY)], V.SAME),
        ([says(R.BUSY, lossy=True)], [says(R.BUSY)], V.SAME),
        ([says(R.BUSY)], [says(R.BUSY, "one"), says(R.BUSY, "two", lossy=True)], V.SAME),
        ([says(R.BUSY)], [says(R.BUSY, lossy=True)], V.COARSER),
        ([says(R.BUSY)], [says(R.REJECTED)], V.LOST),
        ([says(R.REJECTED)], [says(R.BUSY, lossy=True)], V.GAINED),
        ([says(R.REJECTED)], [says(R.REJECTED)], V.NEITHER),
        ([is_told(R.BUSY)], [is_told(R.BUSY)], V.NEITHER),
    ],
)
def test_a_reason_is_judged_by_the_words_that_the_second_has_for_it(
    before: list[ReasonRow], after: list[ReasonRow], verdict: Verdict
) -> None:
    assert reason(compare(provider("a", *before), provider("b", *after)).reasons, R.BUSY).verdict is verdict


def test_what_a_provider_can_be_told_is_compared_apart() -> None:
    comparison = compare(
        provider("a", is_told(R.BUSY), is_told(R.NORMAL), says(R.REJECTED)),
        provider("b", is_told(R.BUSY, lossy=True), says(R.REJECTED)),
    )

    verdicts = {row.neutral: row.verdict for row in comparison.outward if row.verdict is not V.NEITHER}
    assert verdicts == {R.BUSY: V.COARSER, R.NORMAL: V.LOST}


def test_a_lost_reason_becomes_what_the_second_makes_of_the_same_status() -> None:
    before = provider("a", says(R.DO_NOT_DISTURB, sip=480), says(R.BLOCKED, q850=21), says(R.REMOVED))
    after = provider("b", says(R.NO_ANSWER, sip=480), says(R.REJECTED, "no", q850=21), says(R.NORMAL))

    reasons = compare(before, after).reasons

    assert reason(reasons, R.DO_NOT_DISTURB).becomes == (R.NO_ANSWER,)
    assert reason(reasons, R.BLOCKED).becomes == (R.REJECTED,)
    assert reason(reasons, R.REMOVED).becomes == ()


def test_a_reason_that_is_not_lost_becomes_nothing_else() -> None:
    before, after = provider("a", says(R.BUSY, sip=486)), provider("b", says(R.BUSY), says(R.REJECTED, sip=486))

    assert reason(compare(before, after).reasons, R.BUSY).becomes == ()


def test_a_word_that_means_something_else_once_people_talk_stands_at_both_reasons() -> None:
    plugin = provider("a", says(R.MEDIA_SETUP, "MediaFailure", lossy=True, later=R.MEDIA_LOST))

    reasons = compare(plugin, provider("b")).reasons

    assert reason(reasons, R.MEDIA_SETUP).before == (Word("words", "MediaFailure", lossy=True),)
    assert reason(reasons, R.MEDIA_LOST).before == (Word("words", "MediaFailure", lossy=True, answered=True),)


def test_what_the_bridge_itself_says_is_lost_on_no_provider() -> None:
    emulated = {Capability.MAX_DURATION: Support(SupportLevel.EMULATED)}

    reasons = compare(provider("a", says(R.TIME_LIMIT)), provider("b", support=emulated)).reasons

    assert {row.neutral for row in reasons if row.verdict is V.SAME} == {R.ORPHANED, R.UNKNOWN, R.TIME_LIMIT}
    assert reason(reasons, R.TIME_LIMIT).after == (Word("the bridge", "max_duration is over"),)


def test_a_plugin_that_cannot_explain_its_own_rows_is_told_with_the_row() -> None:
    broken = provider("acme", ReasonRow("words", "odd", R.BUSY, cause=Cause(dialect="words", code="no reason at all")))

    with pytest.raises(
        PluginContractError, match=r"^explain\(\) of acme broke on the cause of its own row words odd: V"
    ):
        compare(broken, provider("b"))


ROWS = st.lists(
    st.builds(
        says,
        st.sampled_from(R),
        st.text(),
        lossy=st.booleans(),
        later=st.none() | st.sampled_from(R),
        sip=st.integers(),
    )
    | st.builds(is_told, st.sampled_from(R), st.text(), lossy=st.booleans()),
    max_size=12,
)
SUPPORT = st.dictionaries(
    st.sampled_from(Capability), st.builds(Support, st.sampled_from(SupportLevel), st.text()), max_size=8
)
PROVIDERS = st.builds(lambda rows, support: provider("a", *rows, support=support), ROWS, SUPPORT)


@given(PROVIDERS, PROVIDERS)
def test_every_capability_and_every_reason_has_one_verdict(
    before: ProviderPlugin[BaseModel], after: ProviderPlugin[BaseModel]
) -> None:
    there, back = compare(before, after), compare(after, before)

    assert [row.capability for row in there.abilities] == list(Capability)
    assert [row.neutral for row in there.reasons] == [row.neutral for row in there.outward] == list(R)
    for rows, mirrored in (
        (there.abilities, back.abilities),
        (there.reasons, back.reasons),
        (there.outward, back.outward),
    ):
        assert sum(tally(rows).values()) == len(rows)
        counts, others = tally(rows), tally(mirrored)
        assert counts.get(V.LOST, 0) == others.get(V.GAINED, 0), "what one way loses, the other gains"
        assert counts.get(V.NEITHER, 0) == others.get(V.NEITHER, 0)


@given(PROVIDERS)
def test_nothing_is_lost_or_gained_by_staying(plugin: ProviderPlugin[BaseModel]) -> None:
    comparison = compare(plugin, plugin)

    verdicts = set(tally((*comparison.abilities, *comparison.reasons, *comparison.outward)))
    assert verdicts.isdisjoint({V.LOST, V.GAINED})


# The worksheet


def printed(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=140, theme=THEME, highlight=False)
    show(console, comparison)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text as another program reads them: rows of cells without their markup."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        match token.type:
            case "table_open":
                found.append([])
            case "tr_open":
                found[-1].append([])
            case "inline" if found and token.level > 3:
                children = token.children or []
                assert all(child.type in ("text", "code_inline", "em_open", "em_close") for child in children)
                found[-1][-1].append("".join(child.content for child in children))
            case _:
                pass
    return found


def test_the_move_from_ucwa_to_signalwire_says_what_is_lost_and_what_stays() -> None:
    comparison = worksheet("ucwa", "signalwire")

    abilities = {row.capability: row.verdict for row in comparison.abilities}
    reasons = {row.neutral: row.verdict for row in comparison.reasons}
    assert abilities[Capability.HANG_UP] is V.SAME
    assert abilities[Capability.MAX_DURATION] is V.EMULATED
    assert abilities[Capability.START_VIDEO] is V.LOST
    assert abilities[Capability.START_SCREEN] is V.NEITHER
    assert reasons[R.BUSY] is V.SAME
    assert reasons[R.UNALLOCATED_NUMBER] is V.COARSER
    assert reasons[R.DO_NOT_DISTURB] is V.LOST
    assert reasons[R.MEDIA_LOST] is V.SAME
    assert abilities[Capability.RECEIVE_AUDIO] is V.GAINED
    assert reasons[R.NUMBER_CHANGED] is V.GAINED
    assert reasons[R.BLOCKED] is V.NEITHER
    assert {row.verdict for row in comparison.outward} == {V.LOST}, "SignalWire can be told no reason"


def test_in_a_terminal_the_summary_comes_first_and_every_row_is_there() -> None:
    comparison = worksheet("ucwa", "signalwire")

    page = printed(comparison)

    lost = next(line for line in page.splitlines() if line.strip().startswith("lost"))
    counts = [tally(rows)[V.LOST] for rows in (comparison.abilities, comparison.reasons, comparison.outward)]
    assert lost.split()[1:4] == [str(count) for count in counts]
    assert page.index("moving from ucwa to signalwire") < page.index(lost) < page.index("dial offer")
    for name in (*Capability, *R):
        assert name.replace("_", " ") in page
    assert "~failed / SIP 404" in page
    assert "MediaFailure once answered" in " ".join(page.split())
    assert "\x1b" not in page


def test_as_markdown_it_has_four_tables_that_another_program_reads() -> None:
    comparison = worksheet("ucwa", "signalwire")

    summary, abilities, reasons, outward = tables(markdown(comparison))

    assert summary[0] == ["after moving", "abilities", "reasons", "outward reasons", "meaning"]
    assert [row[0] for row in summary[1:]] == list(Verdict)
    assert sum(int(row[1]) for row in summary[1:]) == len(Capability)
    assert abilities[0] == ["capability", "ucwa", "note", "signalwire", "note", "after moving"]
    assert [row[0] for row in abilities[1:]] == [name.replace("_", " ") for name in Capability]
    assert reasons[0] == outward[0] == ["reason", "ucwa", "signalwire", "after moving"]
    assert [row[0] for row in reasons[1:]] == [name.replace("_", " ") for name in R]
    busy = next(row for row in reasons if row[0] == "busy")
    assert busy == [
        "busy",
        "ErrorSubcode: Busy",
        "laml.call: busy, failed / SIP 486 (lossy), failed / SIP 600 (lossy)",
        "same",
    ]


def test_what_a_lost_reason_becomes_is_written_beside_it() -> None:
    comparison = compare(provider("a", says(R.DO_NOT_DISTURB, sip=480)), provider("b", says(R.NO_ANSWER, sip=480)))

    assert ["do not disturb", "words: word", "–", "lost, becomes no answer"] in tables(markdown(comparison))[2]
    assert "lost, becomes no answer" in printed(comparison)


@given(
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("|\\`*_<>[]~&#\n")),
    other=st.text("|\\` a_*"),
)
def test_whatever_a_plugin_writes_the_tables_stay_whole(text: str, other: str) -> None:
    support = {Capability.DIAL: Support(SupportLevel.FULL, text)}
    before = provider("a", says(R.BUSY, text), is_told(R.BUSY, other), support=support)

    summary, abilities, reasons, outward = tables(markdown(compare(before, provider("b", says(R.BUSY, other)))))

    assert {len(row) for row in summary} == {5}
    assert {len(row) for row in abilities} == {6}
    assert {len(row) for row in (*reasons, *outward)} == {4}
    assert abilities[1][2] == (" ".join(text.split()) or "–")
    assert reasons[1 + list(R).index(R.BUSY)][1] == f"words: {' '.join(text.split())}".strip()


@given(text=st.text())
def test_whatever_a_plugin_writes_the_page_can_be_printed(text: str) -> None:
    support = {Capability.DIAL: Support(SupportLevel.FULL, text)}

    assert "moving from" in printed(compare(provider("a", says(R.BUSY, text), support=support), provider("b")))


def test_one_provider_is_not_compared_with_itself() -> None:
    with pytest.raises(TelcoBridgeError, match=r"^'ucwa' was named twice: name two providers"):
        worksheet("ucwa", "ucwa")


@pytest.mark.parametrize("names", [("nope", "ucwa"), ("ucwa", "nope")])
def test_a_provider_that_is_not_installed_is_told(names: tuple[str, str]) -> None:
    with pytest.raises(PluginNotFound, match="no provider 'nope' is installed"):
        worksheet(*names)
