"""Promises of words: whatever the provider says is explained, and nothing is made up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ..commands import Command, HangUp, Reject, new_id
from ..provider import (
    Asked,
    CallDirection,
    CallState,
    CallView,
    Capability,
    Cause,
    EndedBy,
    Phase,
    Scope,
    TerminationReason,
)
from ..termination import Termination
from .harness import Harness
from .promises import Level, promise

__all__ = ["ReasonPromises"]

_R = TerminationReason
_words = st.one_of(st.none(), st.text(max_size=30))
_quick = settings(max_examples=150, deadline=None, database=None, derandomize=True)


def _causes(harness: Harness) -> st.SearchStrategy[Cause]:
    """Causes in the provider's own dialects and codes, in others, and mixed."""
    rows = [row.cause for row in harness.plugin.reasons if row.cause is not None]
    dialects = sorted({cause.dialect for cause in rows})
    codes = sorted({cause.code for cause in rows if cause.code is not None})
    known_dialects = st.sampled_from(dialects) if dialects else st.text(max_size=10)
    known_codes = st.sampled_from(codes) if codes else st.text(max_size=10)
    made = st.builds(
        Cause,
        dialect=st.one_of(known_dialects, st.text(max_size=10)),
        code=st.one_of(known_codes, _words),
        text=_words,
        said=st.booleans(),
        sip=st.one_of(st.none(), st.integers(100, 699)),
        q850=st.one_of(st.none(), st.integers(0, 127)),
        detail=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=2),
    )
    return st.one_of(st.sampled_from(rows), made) if rows else made


def _views() -> st.SearchStrategy[CallView]:
    """Calls of every state and direction, asked to end or not."""
    ends: list[type[Command]] = [HangUp, Reject]
    asked = st.builds(
        _asked,
        st.sampled_from(ends),
        st.one_of(st.none(), st.sampled_from(TerminationReason)),
        st.sampled_from([EndedBy.APPLICATION, EndedBy.BRIDGE]),
    )
    return st.builds(
        CallView,
        id=st.just("c"),
        ref=st.one_of(st.none(), st.just("r")),
        direction=st.sampled_from(CallDirection),
        state=st.sampled_from(CallState),
        reached=st.sampled_from([s for s in CallState if s.rank <= CallState.CONNECTED.rank]),
        answered=st.one_of(st.none(), st.booleans()),
        held=st.one_of(st.none(), st.booleans()),
        offered=st.frozensets(st.text(max_size=10), max_size=3),
        asked=st.one_of(st.just(()), asked),
    )


def _asked(kind: type[Command], reason: TerminationReason | None, by: EndedBy) -> tuple[Asked]:
    return (Asked(kind(id=new_id(), call="c", reason=reason, by=by), 0.0),)


class ReasonPromises:
    """What every plugin promises of its pure functions, for every input that there can be."""

    @promise(Level.BASIC)
    async def test_every_cause_is_explained(self, harness: Harness) -> None:
        """Every cause is explained, in every state of a call; none is an error."""
        explain = harness.plugin.explain

        @_quick
        @given(_causes(harness), _views())
        def explains(cause: Cause, view: CallView) -> None:
            told = explain(cause, view)

            assert isinstance(told, Termination)
            assert told.sip in (None, cause.sip), "a SIP code may only be passed on"
            assert told.q850 in (None, cause.q850), "a Q.850 cause may only be passed on"

        explains()

    @promise(Level.BASIC)
    async def test_a_word_that_nobody_knows_stays_unknown(self, harness: Harness) -> None:
        """A word that nobody knows stays unknown, and is kept."""
        explain = harness.plugin.explain
        dialects = sorted({row.dialect for row in harness.plugin.reasons if not row.outbound}) or ["made up"]
        strange = CallView(id="c", direction=CallDirection.OUTBOUND, state=CallState.ENDED, reached=CallState.RINGING)

        for dialect in dialects:
            told = explain(Cause(dialect=dialect, code="nobody-says-this", text="nobody says this"), strange)

            assert told.reason is _R.UNKNOWN, f"{dialect}: a reason was made up"
            assert "nobody" in (told.native or "").lower(), f"{dialect}: the provider's words are lost"

    @promise(Level.BASIC)
    async def test_the_reason_table_is_what_is_explained(self, harness: Harness) -> None:
        """Every line of the reason table is what `explain` says of that cause."""
        view = CallView(id="c", direction=CallDirection.OUTBOUND, state=CallState.ENDED, reached=CallState.DIALING)
        rows = [row for row in harness.plugin.reasons if not row.outbound]

        assert rows, "the plugin has no reason table: set `reasons`"
        for row in rows:
            assert row.cause is not None, f"{row.dialect} {row.native}: give the row its cause"
            told = harness.plugin.explain(row.cause, view)
            assert told.reason is row.neutral, f"{row.dialect} {row.native}"

    @promise(Level.BASIC)
    async def test_what_is_possible_is_always_known(self, harness: Harness) -> None:
        """What is possible is known in every state of a call: nothing after its end, and nothing undeclared."""
        plugin = harness.plugin

        @_quick
        @given(_views())
        def tells(view: CallView) -> None:
            able = plugin.possible(view)
            if plugin.together is not None:
                able = able.union(*plugin.together(view))

            undeclared = [str(c) for c in able if c not in plugin.support or not plugin.support[c].usable]
            assert not undeclared
            if view.state is CallState.ENDED:
                assert not able - {Capability.HANG_UP}

        tells()

    @promise(Level.BASIC)
    async def test_an_end_is_explained_for_what_it_is(self, harness: Harness) -> None:
        """An explanation speaks of the call that it was given: its scope is the call's, its phase the call's own."""
        explain = harness.plugin.explain

        @_quick
        @given(_causes(harness), _views())
        def explains(cause: Cause, view: CallView) -> None:
            try:
                told = explain(cause, view)
            except Exception:  # noqa: BLE001 - that is the concern of another promise
                return

            assert told.phase in (Phase.UNKNOWN, view.phase)
            assert told.scope is Scope.CALL

        explains()
