"""What keeps a request out: how fast they come, what the token may be used for; and how that is told."""

from __future__ import annotations

import pytest

from telco_bridge.sandbox.exchange import Exchange
from telco_bridge_signalwire.emulator import ErrorShape, Switches
from telco_bridge_signalwire.emulator.limits import WINDOW, Limit


class Clock:
    """An exchange as far as a limit looks at it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def network():
    """A network whose ten seconds outlast the test."""
    with Exchange(speed=1) as exchange:
        yield exchange


@pytest.mark.parametrize("told", [True, False])
def test_too_many_changes_are_refused(rest_with, told):
    rest = rest_with(switches=Switches(posts_per_window=2, retry_after=told))
    answers = [rest.post("Queues", FriendlyName=f"q{n}") for n in range(3)]
    refused = answers[-1]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert (refused.json()["code"], refused.json()["status"]) == (20429, 429)
    assert ("Retry-After" in refused.headers) is told
    if told:
        assert 1 <= int(refused.headers["Retry-After"]) <= WINDOW


def test_reading_and_deleting_are_unlimited(rest_with):
    rest = rest_with(switches=Switches(posts_per_window=1))
    sid = rest.post("Queues", FriendlyName="q").json()["sid"]
    statuses = [rest.get("Calls").status_code for _ in range(5)]

    assert statuses == [200] * 5
    assert rest.http.delete(f"{rest.base}/Queues/{sid}").status_code == 204


def test_changes_are_admitted_again_when_the_window_has_passed():
    clock = Clock()
    limit = Limit(clock, 2)
    told = []
    for seconds in (0.0, 4.0, 5.0, 9.5, 10.0, 10.5, 14.0):
        clock.seconds = seconds
        told.append(limit.admit())

    assert told == [None, None, 5, 1, None, 4, None]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_without_the_scope_is_refused(rest_with, status):
    rest = rest_with(switches=Switches(scopes=frozenset({"Voice"}), scope_status=status))
    refused = rest.get("IncomingPhoneNumbers")

    assert (refused.status_code, refused.json()["code"]) == (status, 20003)
    assert rest.get("Calls").status_code == 200


def test_a_token_for_numbers_makes_no_calls(rest_with):
    rest = rest_with(switches=Switches(scopes=frozenset({"Numbers"})))

    assert rest.post("Calls", **rest.order()).status_code == 401
    assert rest.get("IncomingPhoneNumbers").status_code == 200


def test_every_shape_of_a_refusal_can_be_had(rest_with):
    told = {}
    for shape in ErrorShape:
        rest = rest_with(switches=Switches(error_shape=shape))
        answer = rest.get("Calls/unknown")
        assert answer.status_code == 404
        told[shape] = answer

    usual = told[ErrorShape.USUAL].json()
    sentence = usual["message"]
    assert usual == {"code": 20404, "message": sentence, "more_info": usual["more_info"], "status": 404}
    assert told[ErrorShape.TEXT_CODE].json() == {**usual, "code": "20404", "status": 400}
    assert told[ErrorShape.ERROR_LIST].json() == {
        "errors": [{"code": "20404", "message": sentence, "more_info": usual["more_info"]}]
    }
    assert told[ErrorShape.SENTENCES].json() == {"errors": [sentence]}
    (native,) = told[ErrorShape.NATIVE].json()["errors"]
    assert (set(native), native["message"]) == ({"type", "code", "message", "attribute", "url"}, sentence)
    assert told[ErrorShape.HTML].headers["content-type"].startswith("text/html")
    assert "404 Not Found" in told[ErrorShape.HTML].text
    assert told[ErrorShape.EMPTY].content == b""


@pytest.mark.parametrize("shape", list(ErrorShape))
def test_what_does_not_exist_is_told_in_the_same_shape(rest_with, shape):
    rest = rest_with(switches=Switches(error_shape=shape))
    unknown, missing = rest.get("Calls/unknown"), rest.get("Nothing/here")

    assert (missing.status_code, missing.content) == (unknown.status_code, unknown.content)
