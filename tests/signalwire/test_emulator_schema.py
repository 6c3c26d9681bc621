"""The fields of each resource and their types, as SignalWire's published schemas have them: no more, no fewer."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

TEXT, NUMBER, FLAG = str, int, bool


def optional(kind: type) -> tuple[type, ...]:
    return (kind, type(None))


_ROUTED = {
    **dict.fromkeys(("voice_url", "voice_fallback_url", "status_callback"), optional(TEXT)),
    **dict.fromkeys(("sms_url", "sms_fallback_url"), optional(TEXT)),
    **dict.fromkeys(("voice_method", "voice_fallback_method", "status_callback_method"), TEXT),
    **dict.fromkeys(("sms_method", "sms_fallback_method"), TEXT),
    "voice_caller_id_lookup": optional(FLAG),
}
_COMMON = dict.fromkeys(("sid", "account_sid", "api_version", "date_created", "date_updated", "uri"), TEXT)

RECORDING = {
    **_COMMON,
    **dict.fromkeys(("channel", "channels", "price_unit", "source", "status", "trim"), TEXT),
    **dict.fromkeys(("call_sid", "conference_sid", "start_time", "end_time", "price"), optional(TEXT)),
    **dict.fromkeys(("error_code", "encryption_details"), optional(TEXT)),
    "duration": NUMBER,
    "subresource_uris": dict,
}
PHONE_NUMBER = {
    **_COMMON,
    **_ROUTED,
    **dict.fromkeys(("account_id", "address_requirements", "country_code", "emergency_status"), TEXT),
    **dict.fromkeys(("friendly_name", "origin", "phone_number"), TEXT),
    **dict.fromkeys(("address_sid", "emergency_address_sid", "identity_sid", "trunk_sid"), optional(TEXT)),
    **dict.fromkeys(("sms_application_sid", "voice_application_sid"), optional(TEXT)),
    "beta": FLAG,
    "capabilities": dict,
}
APPLICATION = {
    **_COMMON,
    **_ROUTED,
    "friendly_name": TEXT,
    **dict.fromkeys(("sms_status_callback", "message_status_callback"), optional(TEXT)),
    "sms_status_callback_method": TEXT,
}
BIN = {
    **_COMMON,
    **dict.fromkeys(("name", "contents", "request_url"), TEXT),
    "date_last_accessed": optional(TEXT),
    "num_requests": NUMBER,
}
QUEUE = {
    **_COMMON,
    "friendly_name": TEXT,
    "max_size": optional(NUMBER),
    "current_size": NUMBER,
    "average_wait_time": NUMBER,
}
ENVELOPE = {
    **dict.fromkeys(("uri", "first_page_uri"), TEXT),
    **dict.fromkeys(("next_page_uri", "previous_page_uri"), optional(TEXT)),
    "page": NUMBER,
    "page_size": NUMBER,
}

KINDS = [
    ("Recordings", "recordings", RECORDING),
    ("IncomingPhoneNumbers", "incoming_phone_numbers", PHONE_NUMBER),
    ("Applications", "applications", APPLICATION),
    ("LamlBins", "laml_bins", BIN),
    ("Queues", "queues", QUEUE),
]


@pytest.fixture
def filled(rest):
    """A project with one of each."""
    rest.dial("+15550103", Record="true")
    rest.post("Applications", FriendlyName="one")
    rest.post("LamlBins", Name="one")
    rest.post("Queues", FriendlyName="one")
    return rest


@pytest.mark.parametrize(("path", "key", "fields"), KINDS)
def test_a_resource_has_the_documented_fields(filled, path, key, fields):
    listed = filled.get(path).json()
    (resource,) = listed[key]
    read = filled.get(f"{path}/{resource['sid']}.json").json()

    assert set(listed) == {*ENVELOPE, key}
    assert {name for name, kind in ENVELOPE.items() if not isinstance(listed[name], kind)} == set()
    assert set(resource) == set(fields)
    assert {name for name, kind in fields.items() if not isinstance(resource[name], kind)} == set()
    assert set(read) == set(fields)
    assert read["uri"] == f"{filled.base}/{path}/{read['sid']}.json"


@pytest.mark.parametrize(("path", "key"), [(path, key) for path, key, _ in KINDS if path != "LamlBins"])
def test_dates_are_spelt_as_mail_spells_them(filled, path, key):
    (resource,) = filled.get(path).json()[key]

    assert parsedate_to_datetime(resource["date_created"]).utcoffset() is not None


def test_the_dates_of_documents_are_spelt_otherwise(filled):
    (document,) = filled.get("LamlBins").json()["laml_bins"]

    assert document["date_created"][10::9] == "TZ"
