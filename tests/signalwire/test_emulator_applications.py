"""Applications, the space's own documents, and queues over REST."""

from __future__ import annotations

import httpx
import pytest


def create(rest, kind: str, **form) -> dict:
    answer = rest.post(kind, **form)
    assert answer.status_code == 201, answer.text
    return answer.json()


def delete(rest, path: str) -> int:
    return rest.http.delete(f"{rest.base}/{path}").status_code


APPLICATION = {"FriendlyName": "one", "VoiceUrl": "https://a.example/v", "SmsMethod": "GET"}
BIN = {"Name": "one", "Contents": "<Response><Pause/></Response>"}
QUEUE = {"FriendlyName": "one", "MaxSize": "3"}


@pytest.mark.parametrize(
    ("kind", "key", "form", "change"),
    [
        ("Applications", "applications", APPLICATION, {"FriendlyName": "two"}),
        ("LamlBins", "laml_bins", BIN, {"Name": "two"}),
        ("Queues", "queues", QUEUE, {"FriendlyName": "two"}),
    ],
)
def test_each_is_created_listed_changed_and_deleted(rest, kind, key, form, change):
    sids = [create(rest, kind, **{**form, next(iter(form)): f"n{n}"})["sid"] for n in range(3)]
    first = rest.get(kind, PageSize=2).json()
    second = rest.http.get(first["next_page_uri"]).json()
    path = f"{kind}/{sids[0]}"
    before, changed = rest.get(path).json(), rest.post(path, **change).json()
    differing = {name for name in before if before[name] != changed[name]}

    assert [one["sid"] for one in first[key] + second[key]][:3] == sids[::-1]
    assert differing - {"date_updated"} == {"friendly_name" if "FriendlyName" in change else "name"}
    assert [delete(rest, path), delete(rest, path)] == [204, 404]
    assert rest.get(path).json()["code"] == rest.post(path, **change).json()["code"] == 20404


@pytest.mark.parametrize(
    ("kind", "form", "code"),
    [
        ("Applications", {}, 10000),
        ("Applications", {"FriendlyName": "x" * 65}, 10000),
        ("Applications", {**APPLICATION, "VoiceUrl": "nowhere"}, 21402),
        ("Applications", {**APPLICATION, "SmsMethod": "PUT"}, 21209),
        ("LamlBins", {"Contents": BIN["Contents"]}, 10000),
        ("LamlBins", {"Name": "x", "Contents": "<Response>"}, 20422),
        ("LamlBins", {"Name": "x", "Contents": "<Reply/>"}, 20422),
        ("Queues", {"FriendlyName": "with blanks"}, 10000),
        ("Queues", {"FriendlyName": "x", "MaxSize": "0"}, 10000),
        ("Queues", {}, 10000),
    ],
)
def test_bad_parameters_are_refused_by_their_codes(rest, kind, form, code):
    answer = rest.post(kind, **form, Unknown="x")

    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_applications_are_found_by_their_names(rest):
    create(rest, "Applications", FriendlyName="one")
    sid = create(rest, "Applications", FriendlyName="two")["sid"]
    listed = rest.get("Applications", FriendlyName="two").json()["applications"]

    assert [application["sid"] for application in listed] == [sid]


def test_a_call_is_made_by_an_application_as_it_is_now(rest, application):
    form = {"VoiceUrl": f"{application.url}/voice/old", "StatusCallback": f"{application.url}/status/app"}
    sid = create(rest, "Applications", FriendlyName="app", **form)["sid"]
    rest.post(f"Applications/{sid}", VoiceUrl=f"{application.url}/voice/new", VoiceMethod="GET")
    call = rest.dial("+15550104", Url=None, StatusCallback=None, ApplicationSid=sid, StatusCallbackEvent=None)
    asked = application.wait("/voice/new")

    assert (asked.method, asked.fields["CallSid"]) == ("GET", call)
    assert application.wait("/status/app", "completed").fields["CallSid"] == call
    assert application.to("/voice/old") == []


def test_a_document_is_served_with_what_was_asked_filled_in(rest):
    contents = "<Response><Say>{{CallSid}} {{ who }} {{{raw}}} {{nothing}}.</Say></Response>"
    made = create(rest, "LamlBins", Name="greeting", Contents=contents)
    answer = httpx.post(f"{made['request_url']}?who=A%26B&raw=%3Cb/%3E", data={"CallSid": "C1"}, trust_env=False)
    known = rest.get(f"LamlBins/{made['sid']}").json()

    assert answer.text == "<Response><Say>C1 A&amp;B <b/> .</Say></Response>"
    assert answer.headers["content-type"].startswith("application/xml")
    assert (made["num_requests"], made["date_last_accessed"]) == (0, None)
    assert (known["num_requests"], known["date_last_accessed"] is not None) == (1, True)


def test_a_document_is_one_that_does_nothing_by_default(rest):
    made = create(rest, "LamlBins", Name="empty")

    assert httpx.get(made["request_url"], trust_env=False).text == "<Response></Response>"
    assert delete(rest, f"LamlBins/{made['sid']}") == 204
    assert httpx.get(made["request_url"], trust_env=False).status_code == 404


def test_a_call_executes_a_document_of_the_space(rest, application):
    contents = "<Response><Redirect>{{next}}</Redirect></Response>"
    made = create(rest, "LamlBins", Name="next", Contents=contents)
    call = rest.dial(Url=f"{made['request_url']}?next={application.url}/voice/next")

    assert application.wait("/voice/next").fields["CallSid"] == call


def test_a_queue_has_a_name_of_its_own_and_nobody_in_it(rest):
    queue = create(rest, "Queues", **QUEUE)
    path = f"Queues/{queue['sid']}"
    taken = rest.post("Queues", **QUEUE)

    assert (queue["max_size"], queue["current_size"], queue["average_wait_time"]) == (3, 0, 0)
    assert taken.json()["code"] == 10000
    assert rest.post(path, FriendlyName="one", MaxSize=5).json()["max_size"] == 5
    assert rest.get(f"{path}/Members").json()["queue_members"] == []
    assert rest.get(f"{path}/Members/Front").json()["code"] == 20404
    assert rest.post(f"{path}/Members/Front", Url="https://a.example").json()["code"] == 20404
