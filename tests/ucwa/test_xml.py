"""XML: what it says is what JSON says, and nothing in it can do harm."""

from __future__ import annotations

import sys

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telco_bridge_ucwa.body import Form, Unreadable, body_in, form_of, written
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.emulator.errors import UcwaError
from telco_bridge_ucwa.emulator.forms import accepted
from telco_bridge_ucwa.emulator.inputs import read_object
from telco_bridge_ucwa.emulator.xml import document
from telco_bridge_ucwa.problems import problem_in
from telco_bridge_ucwa.wire import parse_package, resource_in
from telco_bridge_ucwa.xml import NAMESPACE

XML = "application/vnd.microsoft.com.ucwa+xml"

texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\r\n"), max_size=12)
names = st.sampled_from(["state", "subject", "activeModalities", "threadId", "8f0c-guid"])
rels = st.sampled_from(["conversation", "phoneAudio", "from", "cancel", "stopAudio", "participant"])
values = st.one_of(texts, st.lists(texts, max_size=3))
links = st.fixed_dictionaries({"href": texts.filter(bool)}, optional={"title": texts, "revision": st.just("2")})


def resources(depth=2):
    own = {
        "rel": rels,
        "_links": st.dictionaries(rels, st.one_of(links, st.lists(links, min_size=1, max_size=3)), max_size=3).flatmap(
            lambda found: links.map(lambda link: {"self": {"href": link["href"]}, **found})
        ),
    }
    optional = {}
    if depth:
        inner = resources(depth - 1)
        optional["_embedded"] = st.dictionaries(
            rels, st.one_of(inner, st.lists(inner, min_size=1, max_size=2)), min_size=1, max_size=2
        )
    return st.tuples(st.dictionaries(names, values), st.fixed_dictionaries(own, optional=optional)).map(
        lambda parts: {**parts[0], **parts[1]}
    )


reasons = st.fixed_dictionaries(
    {"code": st.just("RemoteFailure")},
    optional={
        "subcode": st.just("Declined"),
        "message": texts.map(str.strip),
        "parameters": st.lists(
            st.fixed_dictionaries({"name": texts.filter(str.strip), "reason": st.just("Invalid")}), max_size=2
        ),
    },
)
events = st.fixed_dictionaries(
    {
        "link": st.fixed_dictionaries({"rel": rels, "href": texts.filter(bool)}, optional={"title": texts}),
        "type": st.sampled_from(["added", "updated", "deleted", "started", "completed"]),
    },
    optional={
        "status": st.sampled_from(["Success", "Failure"]),
        "in": st.fixed_dictionaries({"rel": rels, "href": texts.filter(bool)}),
        "reason": reasons,
        "body": resources(1),
    },
).map(lambda event: _embed(event))
packages = st.fixed_dictionaries(
    {
        "_links": st.fixed_dictionaries({"next": links, "self": links}, optional={"resync": links, "resume": links}),
        "sender": st.lists(
            st.fixed_dictionaries({"rel": rels, "href": texts, "events": st.lists(events, max_size=3)}), max_size=2
        ),
    }
)


def _embed(event):
    body = event.pop("body", None)
    return event if body is None else {**event, "_embedded": {event["link"]["rel"]: body}}


def in_xml(content: bytes | str) -> httpx.Response:
    return httpx.Response(200, content=content, headers={"Content-Type": f"{XML}; charset=utf-8"})


@settings(max_examples=60, deadline=None)
@given(resources())
def test_a_resource_is_the_same_in_both_forms(body):
    through_xml = resource_in(in_xml(document(body)), rel="conversation")

    assert through_xml == resource_in(httpx.Response(200, json=body), rel="conversation")


@settings(max_examples=60, deadline=None)
@given(packages)
def test_a_package_of_events_is_the_same_in_both_forms(body):
    assert parse_package(in_xml(document(body))) == parse_package(httpx.Response(200, json=body))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.one_of(values, st.booleans(), st.integers())))
def test_inputs_are_the_same_in_both_forms(inputs):
    content, kind = written(inputs, Form.XML)
    as_words = {name: value if isinstance(value, str | list) else str(value) for name, value in inputs.items()}

    assert kind == XML
    assert read_object(content, kind) == as_words


@pytest.mark.parametrize(
    "inputs",
    [
        {"to": "sip:ada@example.org", "_links": {"mediaOffer": {"href": "data:application/sdp,v=0"}}},
        {"subject": "a\x00b"},
        {"list": [{"a": 1}]},
    ],
)
def test_what_xml_inputs_would_lose_goes_as_json(inputs):
    content, kind = written(inputs, Form.XML)

    assert kind == "application/json"
    assert read_object(content, kind) == inputs


def test_true_and_false_and_numbers_are_read_from_words():
    body = (
        '<resource rel="participant"><property name="local">True</property><property name="n">12</property></resource>'
    )
    read = resource_in(in_xml(body), rel="participant")
    said = resource_in(httpx.Response(200, json={"local": True, "n": 12}), rel="participant")

    for resource in (read, said):
        assert resource.flag("local") is True
        assert resource.number("n") == 12
        assert (resource.flag("n"), resource.number("local"), resource.flag("x"), resource.number("x")) == (None,) * 4


def test_links_of_events_may_be_elements_of_their_own():
    body = (
        f'<events xmlns="{NAMESPACE}" href="/e?ack=1"><link rel="next" href="/e?ack=2"/>'
        '<sender rel="communication" href="/c"><completed><link rel="phoneAudioInvitation" href="/i1"/>'
        "<status>Failure</status><reason><code>RemoteFailure</code><subcode>Busy</subcode></reason>"
        '<resource rel="phoneAudioInvitation" href="/i1"><property name="state">Failed</property></resource>'
        "</completed></sender></events>"
    )
    package = parse_package(in_xml(body))

    (event,) = package.events
    assert (event.rel, event.href, event.type, event.status) == ("phoneAudioInvitation", "/i1", "completed", "Failure")
    assert event.reason is not None
    assert event.reason.name == "RemoteFailure/Busy"
    assert event.body is not None
    assert event.body.text("state") == "Failed"


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]><resource rel="me">&b;</resource>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><resource rel="me"/>',
        "<resource",
        '<?xml version="1.0" encoding="nonsense"?><resource/>',
        "<html/>",
        "",
    ],
)
def test_what_is_no_document_of_ucwas_is_unreadable(body):
    with pytest.raises(Unreadable):
        body_in(in_xml(body))
    with pytest.raises(UcwaError) as caught:
        read_object(body.encode() or b"<", XML)
    assert caught.value.subcode == "DeserializationFailure"


ODD = (
    "<!-- nothing -->",
    "<?odd?>",
    "text",
    "<link/>",
    '<link rel="a"/>',
    "<property/>",
    '<property name="a"><b/></property>',
    '<propertyList name="a"><b/><item/></propertyList>',
    "<resource/>",
    '<resource rel="a" href=""><resource/></resource>',
    "<sender/>",
    '<sender rel="a"><updated/><!-- x --><b href="c"/><d><in/><reason/><resource/></d></sender>',
    "<reason><parameters>x<a/></parameters><code/></reason>",
    "<parameters><property/></parameters>",
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(ODD)).map("".join))
def test_oddities_in_a_document_do_not_make_the_rest_unreadable(odd):
    package = parse_package(in_xml(f'<events>{odd}<link rel="next" href="/e"/></events>'))
    state = '<property name="state">Connected</property>'
    resource = resource_in(in_xml(f'<resource rel="a">{odd}{state}</resource>'), rel="")
    problem = problem_in(in_xml(f"<reason><code>Gone</code>{odd}</reason>"))

    assert package.next == "/e"
    assert (resource.rel, resource.text("state")) == ("a", "Connected")
    assert problem is not None
    assert problem.code == "Gone"


def test_the_depth_that_is_read_is_bounded():
    body = '<resource rel="a">' * 200 + "</resource>" * 200
    resource = resource_in(in_xml(body), rel="a")
    depth = 0
    while resource is not None:
        resource, depth = resource.part("a"), depth + 1

    assert depth == 9


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("application/json", Form.JSON),
        ("application/vnd.microsoft.com.ucwa+json; charset=utf-8", Form.JSON),
        ("Application/XML", Form.XML),
        ("text/xml", Form.XML),
        (XML, Form.XML),
        ("application/xhtml+xml", None),
        ("text/html", None),
        ("", None),
    ],
)
def test_the_form_is_known_by_the_type_of_the_body(kind, form):
    assert form_of(kind) is form


@pytest.mark.parametrize(
    ("accept", "rel", "form"),
    [
        ("", "me", Form.JSON),
        ("*/*", "me", Form.JSON),
        ("application/json", "events", Form.JSON),
        ("application/vnd.microsoft.com.ucwa+json", "me", Form.JSON),
        ("application/xml", "me", Form.XML),
        ("application/xml", "events", None),
        (XML, "events", Form.XML),
        ("application/json;q=0.5, application/xml", "me", Form.XML),
        ("application/json;q=0", "me", None),
        ("application/json;q=x", "me", None),
        ("text/html", "me", None),
    ],
)
def test_the_emulator_answers_in_the_form_that_is_asked_for(accept, rel, form):
    assert accepted(accept, rel) is form


def test_without_the_library_it_is_said_which_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "defusedxml.ElementTree", None)

    with pytest.raises(Unreadable, match=r"telco-bridge\[ucwa-xml\]"):
        body_in(in_xml("<resource/>"))
    with pytest.raises(UcwaError, match="415"):
        read_object(b"<input/>", XML)
    monkeypatch.setattr("telco_bridge_ucwa.config.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"telco-bridge\[ucwa-xml\]"):
        UcwaConfig.model_validate({"username": "ada@example.org", "password": "x", "format": "xml"})
