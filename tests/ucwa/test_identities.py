"""Who is who among links: absolute and relative addresses of one resource are the same resource."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telco_bridge_ucwa.identities import Identities

BASE = "https://pool.example.org/ucwa/oauth/v1/applications"


@pytest.mark.parametrize(
    "href",
    [
        "/ucwa/v1/app/1/conversations/7",
        "https://pool.example.org/ucwa/v1/app/1/conversations/7",
        "https://POOL.example.org:443/ucwa/v1/app/1/conversations/7",
        "//pool.example.org/ucwa/v1/app/1/conversations/7",
        "../../v1/app/1/conversations/7",
        "/ucwa/v1/app/./1/conversations/8/../7",
        "/ucwa/v1/app/1/conversations/7?",
        "/ucwa/v1/app/1/conversations/7#here",
    ],
)
def test_every_address_of_a_resource_is_one_identity(href):
    assert Identities(BASE).of(href) == "/ucwa/v1/app/1/conversations/7"


def test_a_resource_of_another_host_keeps_its_host():
    identities = Identities(BASE)
    elsewhere = "https://pool2.example.org/ucwa/v1/app/1"
    assert identities.of(elsewhere) == elsewhere != identities.of("/ucwa/v1/app/1")


def test_a_query_is_part_of_an_identity():
    assert Identities(BASE).of("/app/1?key=7") != Identities(BASE).of("/app/1?key=8")


@pytest.mark.parametrize("href", [None, "http://[broken", "https://pool.example.org:port/x"])
def test_what_is_no_address_has_no_identity(href):
    assert Identities(BASE).of(href) is None


ADDRESSES = st.text(st.sampled_from("/.?#:;@%&=+-~ab1é\t \\[]"), max_size=12)


@given(
    start=st.sampled_from(["", "/", "//", "/a", "https://pool.example.org", "https://pool.example.org/"]),
    rest=ADDRESSES,
)
def test_an_identity_is_what_resolving_the_address_gives(start, rest):
    href = start + rest
    try:
        parts = urlsplit(urljoin(BASE, href))
        here = (parts.scheme, parts.hostname, parts.port or 443) == ("https", "pool.example.org", 443)
    except ValueError:
        expected = None
    else:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        expected = path if here else parts.geturl()
    assert Identities(BASE).of(href) == expected
