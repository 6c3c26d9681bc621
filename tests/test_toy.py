"""The toy carrier over real HTTP: every row of its table, and every trouble it can be told to make."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from telco_bridge.sandbox import Exchange, Fault, Side, ToyCarrier
from telco_bridge.sandbox.clock import Timer
from telco_bridge.serving import Server

NUMBER = "+15550000002"


class Client:
    """A plain HTTP client of the carrier, which remembers where it is in the events."""

    def __init__(self, carrier: ToyCarrier) -> None:
        self.carrier = carrier
        headers = {"authorization": f"Bearer {carrier.key}"}
        self.http = httpx.Client(base_url=carrier.url, headers=headers, timeout=30, trust_env=False)
        self.after = 0

    def dial(self, to: str = "+15550100", **order: object) -> str:
        answer = self.http.post("/calls", json={"to": to, **order})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def call(self, call_id: str) -> dict:
        return self.http.get(f"/calls/{call_id}").json()

    def poll(self, **query: object) -> list[dict]:
        page = self.http.get("/events", params={"after": self.after, **query}).json()
        self.after = page["last"]
        return page["events"]

    def hear(self, status: str, call_id: str | None = None) -> dict:
        """Poll until a call is told with that status."""
        while True:
            for event in self.poll():
                if event["call"]["status"] == status and call_id in (None, event["call"]["id"]):
                    return event["call"]

    def told(self) -> list[str]:
        """The statuses of every event so far."""
        return [event["call"]["status"] for event in self.http.get("/events?after=0&wait=0").json()["events"]]


@pytest.fixture
def network() -> Iterator[Exchange]:
    with Exchange(speed=20) as exchange:
        yield exchange


@pytest.fixture
def carrier(network: Exchange) -> Iterator[ToyCarrier]:
    toy = ToyCarrier(network)
    with Server(toy.app, started=toy.started, stopped=toy.stopped):
        yield toy


@pytest.fixture
def client(carrier: ToyCarrier) -> Iterator[Client]:
    toy = Client(carrier)
    with toy.http:
        yield toy


def test_a_call_is_dialled_answered_and_hung_up(client: Client) -> None:
    dialled = client.http.post("/calls", json={"to": "+15550100", "token": "t-1"})
    call_id = dialled.json()["id"]
    up = client.hear("up", call_id)
    over = client.http.delete(f"/calls/{call_id}")

    assert dialled.status_code == 201
    assert dialled.json() == {
        "id": call_id,
        "token": "t-1",
        "direction": "out",
        "from": NUMBER,
        "to": "+15550100",
        "status": "dialing",
        "answered": False,
        "audio": False,
        "ended": None,
    }
    assert (up["answered"], up["audio"], up["token"]) == (True, True, "t-1")
    assert over.status_code == 200
    assert over.json()["ended"] == {"sip": 200, "phrase": "OK", "by": "near"}
    assert client.call(call_id) == over.json()
    client.hear("over")
    assert client.told() == ["dialing", "ringing", "up", "over"]


@pytest.mark.parametrize(
    ("to", "ended"),
    [
        ("+15550101", {"sip": 486, "phrase": "Busy Here", "by": "far"}),
        ("+15550102", {"sip": 603, "phrase": "Decline", "by": "far"}),
        ("+15550104", {"sip": 200, "phrase": "OK", "by": "far"}),
        ("+15550105", {"sip": 404, "phrase": "Not Found", "by": "network"}),
        ("sip:busy@sandbox.test", {"sip": 486, "phrase": "Busy Here", "by": "far"}),
    ],
)
def test_the_end_says_why_and_by_whom(client: Client, to: str, ended: dict) -> None:
    client.dial(to)

    assert client.hear("over")["ended"] == ended


def test_a_call_that_rings_is_cancelled(client: Client) -> None:
    call_id = client.dial("+15550103")
    client.hear("ringing")

    over = client.http.delete(f"/calls/{call_id}").json()

    assert (over["answered"], over["ended"]) == (False, {"sip": 487, "phrase": "Request Terminated", "by": "near"})


def test_a_ring_timeout_is_kept_by_the_carrier(client: Client) -> None:
    client.dial("+15550103", ring_timeout=2)

    assert client.hear("over")["ended"] == {"sip": 408, "phrase": "Request Timeout", "by": "network"}


def test_a_call_that_is_over_stays_readable_and_is_not_listed(client: Client) -> None:
    ringing, over = client.dial("+15550103"), client.dial("+15550101")
    client.hear("over")

    listed = client.http.get("/calls").json()["calls"]

    assert [call["id"] for call in listed] == [ringing]
    assert client.call(over)["status"] == "over"
    again = client.http.delete(f"/calls/{over}")
    assert (again.status_code, again.json()) == (409, {"error": "call is over"})


@pytest.mark.parametrize("to", ["", "+", "++1555", "call me", "15550100", "sip:nobody", "+0155"])
def test_an_address_of_another_form_is_refused(client: Client, to: str) -> None:
    answer = client.http.post("/calls", json={"to": to})

    assert (answer.status_code, answer.json()) == (422, {"error": "no such number form"})
    assert client.http.get("/calls").json() == {"calls": []}


@pytest.mark.parametrize(
    ("order", "where"),
    [
        ({"to": "+15550100", "colour": "red"}, "colour"),
        ({}, "to"),
        ({"to": 15550100}, "to"),
        ({"to": "+15550100", "ring_timeout": 0}, "ring_timeout"),
        ({"to": "+15550100", "ring_timeout": "soon"}, "ring_timeout"),
    ],
)
def test_a_wrong_field_is_named(client: Client, order: dict, where: str) -> None:
    answer = client.http.post("/calls", json=order)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{where}: ")


@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    assert client.http.post("/calls", content=body).status_code == 422


@pytest.mark.parametrize("key", [None, "Bearer", "Bearer wrong", "Basic dG95Og=="])
def test_nobody_is_served_without_the_key(carrier: ToyCarrier, key: str | None) -> None:
    headers = {} if key is None else {"authorization": key}

    answer = httpx.get(f"{carrier.url}/calls", headers=headers, trust_env=False)

    assert (answer.status_code, answer.json()) == (401, {"error": "the key is missing or wrong"})


def test_what_is_not_there_is_not_found(client: Client) -> None:
    assert client.http.get("/calls/nobody").json() == {"error": "no such call"}
    assert client.http.get("/faxes").json() == {"error": "no such resource"}
    assert client.http.put("/calls").status_code == 404


def test_audio_stops_and_starts_and_the_call_goes_on(client: Client) -> None:
    call_id = client.dial()
    too_early = client.http.delete(f"/calls/{call_id}/audio")
    client.hear("up")

    stopped = client.http.delete(f"/calls/{call_id}/audio").json()
    again = client.http.delete(f"/calls/{call_id}/audio")
    started = client.http.post(f"/calls/{call_id}/audio").json()

    assert (too_early.status_code, too_early.json()) == (409, {"error": "call is not up"})
    assert (stopped["status"], stopped["audio"]) == ("up", False)
    assert again.status_code == 200
    assert (started["status"], started["audio"]) == ("up", True)
    assert [event["call"]["audio"] for event in client.poll()] == [False, True]


def test_a_call_to_the_carriers_number_waits_for_an_answer(client: Client, network: Exchange) -> None:
    network.call_in(caller="+15550199", callee=NUMBER)
    ringing = client.hear("ringing")

    up = client.http.post(f"/calls/{ringing['id']}/answer").json()
    again = client.http.post(f"/calls/{ringing['id']}/answer")

    assert (ringing["direction"], ringing["from"], ringing["to"]) == ("in", "+15550199", NUMBER)
    assert (up["status"], up["answered"]) == ("up", True)
    assert (again.status_code, again.json()) == (409, {"error": "call does not wait for an answer"})


def test_a_call_to_the_carriers_number_is_rejected(client: Client, network: Exchange) -> None:
    leg = network.call_in(caller="+15550199", callee=NUMBER)
    ringing = client.hear("ringing")

    over = client.http.post(f"/calls/{ringing['id']}/reject").json()

    assert over["ended"] == {"sip": 603, "phrase": "Decline", "by": "near"}
    assert leg.clearing is not None
    assert leg.clearing.by is Side.CALLEE


def test_an_outbound_call_cannot_be_answered_here(client: Client) -> None:
    call_id = client.dial("+15550103")
    client.hear("ringing")

    assert client.http.post(f"/calls/{call_id}/answer").status_code == 409


def test_a_poll_without_a_number_tells_where_the_events_are(client: Client) -> None:
    client.dial("+15550101")
    client.hear("over")

    assert client.http.get("/events").json() == {"events": [], "last": 2}


def test_a_poll_waits_for_what_happens(client: Client) -> None:
    call_id = client.dial("+15550103")

    numbers = [event["n"] for event in client.poll()]
    client.hear("ringing", call_id)

    assert numbers == [1]
    assert client.after == 2


def test_a_poll_to_which_nothing_happens_comes_back_empty(client: Client) -> None:
    assert client.poll(wait=1) == []
    assert client.poll() == []


def test_a_poll_from_the_future_is_told_at_once_where_the_events_are(client: Client) -> None:
    assert client.http.get("/events?after=1000").json() == {"events": [], "last": 0}


@pytest.mark.parametrize("query", ["after=-1", "after=soon", "wait=21", "since=3"])
def test_a_wrong_poll_is_refused(client: Client, query: str) -> None:
    assert client.http.get(f"/events?{query}").status_code == 422


def test_whoever_polls_is_let_go_when_the_server_stops(network: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = ToyCarrier(network)
    parked, pages, after = threading.Event(), [], toy.after

    def parking(seconds: float, action: Callable[[], None]) -> Timer:
        parked.set()
        return after(seconds, action)

    monkeypatch.setattr(toy, "after", parking)
    with Server(toy.app, started=toy.started, stopped=toy.stopped) as server, Client(toy).http as http:
        polling = threading.Thread(target=lambda: pages.append(http.get("/events?after=0").json()))
        polling.start()
        assert parked.wait(5)
        server.stop()
        polling.join(5)

    assert pages == [{"events": [], "last": 0}]


def test_the_profile_leads_here(carrier: ToyCarrier) -> None:
    assert carrier.profile() == {"provider": "acme", "base_url": carrier.url, "key": carrier.key}
    assert ToyCarrier(carrier.exchange, provider="zeta").profile()["provider"] == "zeta"


def test_the_wire_is_recorded_without_secrets(client: Client) -> None:
    call_id = client.dial("+15550103", token="t-1")
    client.hear("ringing")
    client.http.delete(f"/calls/{call_id}")
    client.hear("over")

    records = client.carrier.wire.records()
    lines = [(r.sent_by, r.line, r.answer) for r in records if r.line != "GET /events"]

    assert lines == [
        ("bridge", "POST /calls", "201 dialing"),
        ("provider", "event dialing", ""),
        ("provider", "event ringing", ""),
        ("bridge", "DELETE /calls/{id}", "200 over"),
        ("provider", "event over", ""),
    ]
    assert records[0].fields == {"to": "+15550103", "token": "t-1"}
    assert client.carrier.key not in str(records)


@pytest.mark.parametrize("fault", [Fault.DROP_REQUEST, Fault.DROP_ANSWER])
def test_a_broken_connection_tells_nothing_of_what_was_done(client: Client, fault: Fault) -> None:
    client.carrier.faults.inject(fault, on="POST /calls")

    with pytest.raises(httpx.RemoteProtocolError):
        client.dial("+15550103")

    assert len(client.http.get("/calls").json()["calls"]) == (fault is Fault.DROP_ANSWER)


@pytest.mark.parametrize(
    ("fault", "options", "status", "done"),
    [
        (Fault.SERVER_ERROR, {}, 503, 0),
        (Fault.SERVER_ERROR, {"status": 500}, 500, 0),
        (Fault.RATE_LIMIT, {"retry_after": 3}, 429, 0),
        (Fault.HTML_ANSWER, {}, 502, 1),
        (Fault.MALFORMED_JSON, {}, 201, 1),
    ],
)
def test_an_answer_can_be_another(
    client: Client, fault: Fault, options: dict[str, object], status: int, done: int
) -> None:
    client.carrier.faults.inject(fault, on="POST /calls", **options)

    answer = client.http.post("/calls", json={"to": "+15550103"})

    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("3" if fault is Fault.RATE_LIMIT else None)
    if fault in (Fault.HTML_ANSWER, Fault.MALFORMED_JSON):
        with pytest.raises(ValueError, match="Exp"):
            answer.json()
    assert len(client.http.get("/calls").json()["calls"]) == done


def test_a_lost_event_leaves_a_hole(client: Client) -> None:
    client.carrier.faults.inject(Fault.LOSE_EVENT, on="event ringing")
    client.dial()
    client.hear("up")

    numbers = [event["n"] for event in client.http.get("/events?after=0").json()["events"]]

    assert numbers == [1, 3]
    assert [r.answer for r in client.carrier.wire.records(containing="event ringing")] == ["lost"]


def test_a_doubled_event_keeps_its_number(client: Client) -> None:
    client.carrier.faults.inject(Fault.DOUBLE_EVENT, on="event up")
    client.dial()
    client.hear("up")

    numbers = [event["n"] for event in client.http.get("/events?after=0").json()["events"]]

    assert numbers == [1, 2, 3, 3]


def test_an_event_can_be_told_after_the_next(client: Client) -> None:
    client.carrier.faults.inject(Fault.REORDER_EVENTS, on="event ringing")
    client.dial()
    client.hear("ringing")

    assert client.told() == ["dialing", "up", "ringing"]


def test_an_event_that_waits_for_a_next_one_does_not_wait_for_ever(client: Client) -> None:
    client.carrier.faults.inject(Fault.REORDER_EVENTS, on="event over")
    client.dial("+15550101")

    assert client.hear("over")["ended"]["sip"] == 486


def test_an_event_can_come_before_the_answer(client: Client) -> None:
    client.carrier.faults.inject(Fault.EVENT_BEFORE_ANSWER, on="POST /calls")
    answers: list[str] = []
    dialling = threading.Thread(target=lambda: answers.append(client.dial("+15550103")))
    with Client(client.carrier).http as other:
        dialling.start()
        told = other.get("/events?after=0").json()["events"][0]["call"]
        before = list(answers)
        other.get("/events?after=1&wait=1")
    dialling.join(5)

    assert before == []
    assert answers == [told["id"]]


@pytest.mark.parametrize(("on", "read"), [("event ringing", False), ("GET /calls/{id}", True)])
def test_a_status_can_be_a_word_that_nobody_knows(client: Client, on: str, *, read: bool) -> None:
    client.carrier.faults.inject(Fault.UNKNOWN_STATE, on=on, word="hovering")
    call_id = client.dial("+15550103")

    status = client.call(call_id)["status"] if read else client.hear("hovering")["status"]

    assert status == "hovering"
