"""Scripts: what a call does for a command, and what SignalWire would not take."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from telco_bridge.provider import (
    ConfigError,
    Hold,
    Play,
    Redirect,
    Refused,
    Say,
    SendDigits,
    Transfer,
)
from telco_bridge_laml.documents import document, pause
from telco_bridge_laml.scripts import Scripts, script

OURS = {"id": "cmd-1", "call": "call-1", "ref": "C"}
BACK = "https://app.example.net/voice?call=call-1"


def verbs(*made):
    return list(ET.fromstring(document(*made)))


def test_what_is_said_leads_back_to_the_bridge(config, host):
    say, redirect = verbs(*script(Say(**OURS, text="hello", language="fr-FR"), config, host.url))

    assert (say.tag, say.text, say.attrib) == ("Say", "hello", {"language": "fr-FR"})
    assert (redirect.tag, redirect.text) == ("Redirect", f"{BACK}&done=cmd-1")


def test_what_is_played_and_sent_leads_back_too(config, host):
    play, back = verbs(*script(Play(**OURS, url="https://a.example/x.wav", times=2), config, host.url))
    assert (play.text, play.attrib, back.text) == ("https://a.example/x.wav", {"loop": "2"}, f"{BACK}&done=cmd-1")

    digits, back = verbs(*script(SendDigits(**OURS, digits="12w#"), config, host.url))
    assert (digits.tag, digits.attrib, back.text) == ("Play", {"digits": "12w#"}, f"{BACK}&done=cmd-1")


def test_a_transfer_tells_how_it_went(config, host):
    command = Transfer(**OURS, to="+15550200", caller_id="+15550300", ring_timeout=20.0)

    (dial,) = verbs(*script(command, config, host.url))

    assert dial.attrib == {
        "action": f"{BACK}&over=cmd-1",
        "answerOnBridge": "true",
        "callerId": "+15550300",
        "timeout": "20",
    }
    assert dial[0].attrib == {
        "statusCallback": "https://app.example.net/status?call=call-1&over=cmd-1",
        "statusCallbackEvent": "answered",
    }


def test_a_transfer_shows_the_configured_number(configure, host):
    config = configure(transfer_caller_id="+15550100009")

    (dial,) = verbs(*script(Transfer(**OURS, to="+15550200"), config, host.url))
    assert dial.attrib["callerId"] == "+15550100009"


def test_a_sip_endpoint_may_be_asked_to_call_somebody_else_itself(config, host):
    command = Transfer(**OURS, to="sip:sales@example.net", native={"Refer": True})

    (refer,) = verbs(*script(command, config, host.url))

    assert (refer.tag, refer.attrib) == ("Refer", {"action": f"{BACK}&over=cmd-1"})
    assert refer[0].text == "sip:sales@example.net"


def test_an_inbound_call_is_redirected_by_being_connected_elsewhere(config, host):
    (dial,) = verbs(*script(Redirect(**OURS, to="sip:sales@example.net"), config, host.url))

    assert (dial.tag, dial[0].tag) == ("Dial", "Sip")
    assert "callerId" not in dial.attrib


def test_whoever_is_held_waits_alone(configure, host):
    config = configure(hold_by_conference=True, hold_music_url="https://a.example/music.wav")

    (dial,) = verbs(*script(Hold(**OURS), config, host.url))

    assert dial[0].text == "hold-call-1"
    assert dial[0].attrib["startConferenceOnEnter"] == "false"
    assert dial[0].attrib["waitUrl"] == "https://a.example/music.wav"
    assert dial[0].attrib["statusCallback"] == "https://app.example.net/conference?call=call-1"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Say(**OURS, text="x" * 4097), "4097 characters"),
        (Say(**OURS, text="x", native={"loop": 2}), "no native parameters"),
        (Play(**OURS, url="file:///etc/passwd"), "absolute http"),
        (Play(**OURS, url="https://"), "absolute http"),
        (SendDigits(**OURS, digits="1A"), "0-9"),
        (SendDigits(**OURS, digits="1" * 33), "up to 32"),
        (Transfer(**OURS, to="sales"), "'sales'"),
        (Transfer(**OURS, to="+15550200", caller_id="me"), "'me'"),
        (Transfer(**OURS, to="+15550200", ring_timeout=2.5), "5 to 600"),
        (Transfer(**OURS, to="+15550200", native={"Refer": True}), "sip:user@host"),
        (Transfer(**OURS, to="+15550200", native={"Token": "secret"}), "not Token"),
        (Redirect(**OURS, to="client:me"), "'client:me'"),
    ],
)
def test_what_signalwire_does_not_take_is_refused_in_clear_words(command, words, config, host):
    with pytest.raises(Refused) as refused:
        script(command, config, host.url)

    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "command", [Say(**OURS, text="x"), SendDigits(**OURS, digits="1"), Transfer(**OURS, to="+1555")]
)
def test_a_bridge_that_nobody_can_reach_is_told_what_to_set(command, config, deaf_host):
    with pytest.raises(ConfigError, match=r"set web\.public_url"):
        script(command, config, deaf_host.url)


def test_a_call_is_kept_open_by_leading_back(config, host):
    still, redirect = verbs(*Scripts(config, host.url).keep_open("call-1"))

    assert (still.tag, still.attrib) == ("Pause", {"length": "3600"})
    assert redirect.text == BACK


def test_a_call_that_listens_waits_for_keys_again_and_again(configure, host):
    *listening, redirect = verbs(*Scripts(configure(hear_digits=True), host.url).keep_open("call-1"))

    assert {verb.tag for verb in listening} == {"Gather"}
    assert listening[0].attrib["action"] == f"{BACK}&keys=1"
    assert redirect.text == BACK
    # SignalWire documents that it reads 64 kB of a document.
    assert len(document(*Scripts(configure(hear_digits=True), host.url).keep_open("c" * 32))) < 64_000


def test_a_script_is_found_by_its_command_and_goes_on_open(config, host):
    scripts = Scripts(config, host.url)
    scripts.remember("cmd-1", pause(1))

    assert [verb.tag for verb in verbs(*scripts.of("cmd-1", "call-1"))] == ["Pause", "Pause", "Redirect"]
    scripts.forget("cmd-1")
    assert [verb.tag for verb in verbs(*scripts.of("cmd-1", "call-1"))] == ["Pause", "Redirect"]


def test_only_so_many_scripts_are_remembered(config, host):
    scripts = Scripts(config, host.url)
    for number in range(20_010):
        scripts.remember(f"cmd-{number}", pause(1))

    assert len(scripts) == 20_000
    assert len(scripts.of("cmd-0", None)) == 2
    assert len(scripts.of("cmd-20009", None)) == 3
