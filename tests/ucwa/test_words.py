"""A resource in its own words."""

from __future__ import annotations

import pytest

from telco_bridge_ucwa.wire import parse_resource
from telco_bridge_ucwa.words import Words

PHONE = parse_resource({"state": "Connected", "rel": "x", "_links": {"self": {"href": "/c/1"}}}, rel="phoneAudio")


def test_the_words_are_the_resources_with_its_name_and_address():
    assert Words(PHONE, {}) == {"rel": "phoneAudio", "href": "/c/1", "state": "Connected"}


def test_what_else_belongs_to_it_stands_beside_them():
    words = Words(PHONE, {"transferredBy": "sip:bob@example.org"})
    assert words["transferredBy"] == "sip:bob@example.org"
    assert len(words) == 4


def test_what_was_not_said_is_missing():
    with pytest.raises(KeyError):
        Words(PHONE, {})["threadId"]


def test_they_show_themselves_as_they_are():
    assert repr(Words(PHONE, {})) == "{'rel': 'phoneAudio', 'href': '/c/1', 'state': 'Connected'}"
