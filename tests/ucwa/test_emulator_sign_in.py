"""Signing in: discovery, tokens, the application, becoming available."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import httpx
import pytest

CLIENT = {"userAgent": "tests/1.0", "endpointId": "6b0c", "culture": "en-US"}
AVAILABLE = {
    "supportedModalities": ["PhoneAudio", "Messaging"],
    "audioPreference": "PhoneAudio",
    "phoneNumber": "+14255550101",
    "signInAs": "Online",
}


def hrefs_in(value):
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "href":
                yield member
            else:
                yield from hrefs_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from hrefs_in(item)


def test_the_root_leads_to_the_user_and_needs_no_token(served):
    links = httpx.get(served.emulator.root_url).json()["_links"]

    assert links["user"]["href"] == served.emulator.profile()["user_url"]
    assert {"self", "user", "xframe"} <= set(links)


def test_the_user_without_a_token_is_challenged_in_two_headers(served):
    answer = httpx.get(served.emulator.profile()["user_url"])

    schemes = [value.split()[0] for value in answer.headers.get_list("www-authenticate")]
    assert answer.status_code == 401
    assert schemes == ["Bearer", "MsRtcOAuth"]
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": "urn:microsoft.rtc:passive"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a", "password": "b", "scope": "some"}, "invalid_scope"),
        ({"grant_type": "urn:microsoft.rtc:anonmeeting", "password": "x"}, "invalid_request"),
        (
            {"grant_type": "urn:microsoft.rtc:anonmeeting", "password": "x", "ms_rtc_conferenceuri": "sip:a@b"},
            "invalid_grant",
        ),
        ({"grant_type": "password", "username": "ada@sandbox.test", "password": "no"}, "invalid_grant"),
        ({"grant_type": "password", "username": "eve@sandbox.test", "password": "no"}, "invalid_grant"),
    ],
)
def test_a_bad_request_for_a_token_says_what_is_wrong(served, form, error):
    challenge = httpx.get(served.emulator.profile()["user_url"]).headers.get_list("www-authenticate")[1]
    href = challenge.split('href="')[1].split('"')[0]

    answer = httpx.post(href, data=form, headers={"content-type": "application/x-www-form-urlencoded"})

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def token_url(answer):
    return answer.headers.get_list("www-authenticate")[1].split('href="')[1].split('"')[0]


def test_the_windows_grant_is_the_web_servers_own_sign_in(served):
    answer = httpx.post(
        token_url(httpx.get(served.emulator.profile()["user_url"])), data={"grant_type": "urn:microsoft.rtc:windows"}
    )

    assert (answer.status_code, answer.headers.get_list("www-authenticate")) == (401, ["Negotiate", "NTLM"])


def test_a_server_with_a_sign_in_page_names_it(serve):
    user = serve(grants=["urn:microsoft.rtc:passive"]).emulator.profile()["user_url"]
    answer = httpx.post(token_url(httpx.get(user)), data={"grant_type": "urn:microsoft.rtc:passive"})

    assert answer.json()["error"] == "invalid_grant"
    assert answer.json()["ms_rtc_passiveauthuri"].endswith("/PassiveAuth.aspx")


def test_a_bad_token_may_be_refused_with_403_and_a_challenge(serve):
    user = serve(token_refusal=403).emulator.profile()["user_url"]

    assert httpx.get(user).status_code == 401
    answer = httpx.get(user, headers={"authorization": "Bearer cwt=old"})
    assert answer.status_code == 403
    assert "InvalidToken" in answer.headers["warning"]
    assert answer.headers["x-ms-diagnostics"].startswith("28055;")
    assert len(answer.headers.get_list("www-authenticate")) == 2


def test_a_guest_has_another_way_in_and_no_other(served):
    user = served.emulator.profile()["user_url"]
    form = {
        "grant_type": "urn:microsoft.rtc:anonmeeting",
        "password": "GH4T8KJ2",
        "ms_rtc_conferenceuri": "sip:ada@sandbox.test;gruu;opaque=app:conf:focus:id:GH4T8KJ2",
    }
    ticket = httpx.post(token_url(httpx.get(user)), data=form).json()
    guest = {"authorization": f"Bearer {ticket['access_token']}"}

    links = httpx.get(user, headers=guest).json()["_links"]
    assert ticket["expires_in"] == 3600
    assert set(links) == {"self", "anonApplications", "xframe"}
    made = httpx.post(links["anonApplications"]["href"], json={"userAgent": "t", "culture": "en-US"}, headers=guest)
    assert made.status_code == 201


def test_the_user_is_no_guest(client):
    guests = client.http.get(client.profile["user_url"]).json()["_links"]

    assert set(guests) == {"self", "applications", "xframe"}


def test_an_application_is_created_with_its_embedded_resources(client):
    application = client.application

    assert set(application["_embedded"]) == {"me", "people", "onlineMeetings", "communication"}
    assert "ack=1" in application["_links"]["events"]["href"]
    assert "key=" in application["_links"]["events"]["href"]
    assert application["etag"].isdigit()
    assert "please pass this in a PUT request" in application["_embedded"]["communication"].values()
    assert application["userAgent"] == "tests/1.0"


def test_what_is_missing_in_a_new_application_is_named(client):
    answer = client.http.post(client.pool, json={"userAgent": "x" * 101, "culture": "en-US"})

    body = answer.json()
    assert (answer.status_code, body["code"], body["subcode"]) == (400, "BadRequest", "ParameterValidationFailure")
    assert {(p["name"], p["reason"]) for p in body["parameters"]} == {
        ("userAgent", "Invalid"),
        ("endpointId", "Required"),
    }


def test_the_same_instance_gets_the_same_application(client):
    first = client.http.post(client.pool, json={**CLIENT, "instanceId": "tab-1"})
    second = client.http.post(client.pool, json={**CLIENT, "instanceId": "tab-1"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["_links"]["self"] == second.json()["_links"]["self"]


def test_no_address_can_be_guessed_from_a_rel_or_from_another_address(client):
    """Each address has a path of its own, some with the host in front, and none says what it is for."""
    found = set(hrefs_in(client.application))
    paths = sorted(urlsplit(href).path for href in found)

    assert not any(rel.lower() in path.lower() for rel in client.application["_embedded"] for path in paths)
    assert not any(other.startswith(path + "/") for path in paths for other in paths)
    assert any(href.startswith("http://") for href in found)
    assert any(href.startswith("/") for href in found)


def test_a_guessed_path_is_answered_by_the_web_server_in_front(client):
    answer = client.get("/ucwa/oauth/v1/applications/1/communication")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_a_wrong_verb_and_a_wrong_body_are_refused_in_ucwas_words(client):
    me = client.application["_embedded"]["me"]["_links"]

    assert client.delete(me["self"]["href"]).json()["code"] == "MethodNotAllowed"
    unread = client.http.post(
        client.url(me["makeMeAvailable"]["href"]), content=b"<a/>", headers={"content-type": "a/b"}
    )
    assert (unread.status_code, unread.json()["code"]) == (415, "UnsupportedMediaType")
    broken = client.http.post(
        client.url(me["makeMeAvailable"]["href"]), content=b"{", headers={"content-type": "application/json"}
    )
    assert broken.json()["subcode"] == "DeserializationFailure"


def test_becoming_available_swaps_the_links_and_is_told_in_order(client):
    make_available = client.application["_embedded"]["me"]["_links"]["makeMeAvailable"]["href"]
    answer = client.post(make_available, **AVAILABLE)
    client.poll()
    me = client.get(client.application["_embedded"]["me"]["_links"]["self"]["href"]).json()

    assert answer.status_code == 204
    assert [(t.sender, t.name) for t in client.told] == [
        ("me", "me updated"),
        ("me", "presence added"),
        ("me", "note added"),
        ("me", "location added"),
        ("communication", "communication updated"),
    ]
    assert client.last("communication")["phoneNumber"] == "+14255550101"
    assert "makeMeAvailable" not in me["_links"]
    assert client.post(me["_links"]["reportMyActivity"]["href"]).status_code == 204
    again = client.post(make_available, **AVAILABLE)
    assert (again.status_code, again.json()["subcode"]) == (409, "AlreadyExists")


def test_settings_are_replaced_only_whole_and_under_their_etag(client):
    href = client.application["_embedded"]["communication"]["_links"]["self"]["href"]
    got = client.get(href)
    whole = got.json() | {"audioPreference": "VoipAudio"}
    without_token = {k: v for k, v in whole.items() if v != "please pass this in a PUT request"}

    def put(body, **headers):
        return client.http.put(
            client.url(href), content=json.dumps(body), headers={"content-type": "application/json", **headers}
        )

    assert put(whole).status_code == 428
    assert put(whole, **{"if-match": '"1"'}).status_code == 412
    assert put(without_token, **{"if-match": got.headers["etag"]}).status_code == 400
    done = put(whole, **{"if-match": got.headers["etag"]})
    assert (done.status_code, done.json()["audioPreference"]) == (200, "VoipAudio")
    assert done.headers["etag"] != got.headers["etag"]


def test_a_token_expires_on_the_networks_clock(serve):
    served = serve(token_lifetime=40.0, speed=200.0)
    client = served.connect()
    client.sign_in()
    own = client.application["_links"]["self"]["href"]
    assert client.get(own).status_code == 200
    expiry = served.exchange.now() + 40.0
    while served.exchange.now() < expiry:
        client.get(client.application["_links"]["policies"]["href"])

    expired = client.get(own)
    assert expired.status_code == 401
    client.http.headers["Authorization"] = client.token(expired)
    assert client.get(own).status_code == 200


def test_a_token_of_one_host_is_worth_nothing_on_another(serve):
    served = serve(pool_host="localhost")
    client = served.connect()
    client.http.headers["Authorization"] = client.token(client.http.get(client.profile["user_url"]))
    pool = client.http.get(client.profile["user_url"]).json()["_links"]["applications"]["href"]

    refused = client.http.post(pool, json=CLIENT)
    assert pool.startswith("http://localhost:")
    assert refused.status_code == 401
    client.http.headers["Authorization"] = client.token(refused)
    assert client.http.post(pool, json=CLIENT).status_code == 201


def test_a_deleted_application_is_not_known_any_more(client):
    own = client.application["_links"]["self"]["href"]

    assert client.delete(own).status_code == 204
    assert client.get(own).json()["subcode"] == "ApplicationNotFound"
    assert client.get(client.next).json()["subcode"] == "ApplicationNotFound"


def test_an_application_nobody_polls_for_expires(serve):
    served = serve(inactive_after=20.0, speed=200.0)
    client = served.connect()
    client.sign_in()
    while served.emulator.applications:
        client.http.get(served.emulator.root_url)

    answer = client.get(client.next)
    assert (answer.status_code, answer.json()["subcode"]) == (410, "InactiveApplicationExpired")


def test_the_same_words_lead_to_the_same_application(served):
    one, other = served.connect(), served.connect()
    own = one.sign_in()["_links"]["self"]
    other.http.headers["Authorization"] = one.http.headers["Authorization"]
    again = other.http.post(one.pool, json=CLIENT)
    another = other.http.post(one.pool, json={**CLIENT, "EndpointId": "another"})

    assert (again.status_code, again.json()["_links"]["self"]) == (200, own)
    assert (another.status_code, another.json()["_links"]["self"] == own) == (201, False)


def test_a_user_may_have_only_so_many_applications(serve):
    client = serve(applications_allowed=1).connect()
    client.sign_in()
    refused = client.http.post(client.pool, json={**CLIENT, "EndpointId": "another"})
    client.delete(client.application["_links"]["self"]["href"])

    assert (refused.status_code, refused.json()["subcode"]) == (410, "TooManyApplications")
    assert client.http.post(client.pool, json={**CLIENT, "EndpointId": "another"}).status_code == 201


@pytest.mark.parametrize("reports", [True, False])
def test_an_available_user_whom_nobody_reports_active_loses_the_application(serve, reports):
    served = serve(activity_within=20.0, speed=200.0)
    client = served.connect()
    client.sign_in()
    me = client.application["_embedded"]["me"]["_links"]
    client.post(me["makeMeAvailable"]["href"], **AVAILABLE)
    report = client.get(me["self"]["href"]).json()["_links"]["reportMyActivity"]["href"]
    until = served.exchange.now() + 60.0
    while served.exchange.now() < until and served.emulator.applications:
        if reports:
            client.post(report)

    assert bool(served.emulator.applications) is reports


def test_the_wires_record_holds_no_secret(served, client):
    records = repr(served.emulator.wire.records())

    assert "POST oauthtoken" in records
    assert served.emulator.profile()["password"] not in records
    assert "cwt=" not in records
