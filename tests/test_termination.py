"""An end in five words, and whether to try again: derived from the reason, for every reason."""

from __future__ import annotations

import pytest

from telco_bridge import Outcome, Retry, Termination, TerminationReason

R = TerminationReason


@pytest.mark.parametrize(
    ("reason", "outcome", "retry"),
    [
        (R.NORMAL, Outcome.COMPLETED, Retry.NEVER),
        (R.BUSY, Outcome.NOT_REACHED, Retry.LATER),
        (R.NO_ANSWER, Outcome.NOT_REACHED, Retry.LATER),
        (R.REJECTED, Outcome.REFUSED, Retry.NEVER),
        (R.DO_NOT_DISTURB, Outcome.REFUSED, Retry.LATER),
        (R.UNALLOCATED_NUMBER, Outcome.FAILED, Retry.NEVER),
        (R.UNREACHABLE, Outcome.NOT_REACHED, Retry.OTHER_ROUTE),
        (R.MEDIA_NEGOTIATION, Outcome.FAILED, Retry.OTHER_MODALITY),
        (R.NOT_AUTHORIZED, Outcome.FAILED, Retry.FIX_CONFIG),
        (R.PROVIDER_ERROR, Outcome.FAILED, Retry.UNSPECIFIED),
        (R.ORPHANED, Outcome.INDETERMINATE, Retry.UNSPECIFIED),
        (R.UNKNOWN, Outcome.INDETERMINATE, Retry.UNSPECIFIED),
    ],
)
def test_a_reason_has_an_outcome_and_an_advice(reason: TerminationReason, outcome: Outcome, retry: Retry) -> None:
    termination = Termination(reason=reason)

    assert (termination.outcome, termination.retry) == (outcome, retry)


@pytest.mark.parametrize("reason", list(TerminationReason))
def test_nothing_that_completed_is_advised_to_be_tried_again(reason: TerminationReason) -> None:
    termination = Termination(reason=reason)

    assert termination.outcome is not Outcome.COMPLETED or termination.retry is Retry.NEVER
