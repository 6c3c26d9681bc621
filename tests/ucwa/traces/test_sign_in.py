"""From a domain to an application of the user's pool, and the user who is available there."""

from __future__ import annotations

import httpx
import pytest

from .server import (
    APPLICATIONS,
    CHALLENGE,
    COMMUNICATION,
    ME,
    PASSWORD,
    TOKEN,
    A,
    ScriptedServer,
    application,
    communication,
    desk,
    event,
    ok,
    resource,
    sender,
    ticket,
)

WEB = "https://web1.example.org"
POOL = "https://pool2.example.org"
USER = f"{WEB}/Autodiscover/AutodiscoverService.svc/root/oauth/user?originalDomain=example.org"
ROOT = "https://lyncdiscover.example.org/"
FORM = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
AVAILABLE = {
    "supportedModalities": ["Audio", "Video", "PhoneAudio"],
    "audioPreference": "VoipAudio",
    "phoneNumber": "+14255550101",
    "signInAs": "Online",
}


def challenge(host: str) -> list[httpx.Response]:
    """The same challenge, as headers that stand apart and as one."""
    apart = [(name, text.replace(POOL, host)) for name, text in CHALLENGE]
    folded = [("WWW-Authenticate", ", ".join(text for _, text in apart))]
    return [httpx.Response(401, headers=headers, html="<html>401</html>") for headers in (apart, folded)]


@pytest.mark.parametrize("folded", [False, True], ids=["two headers", "one header"])
async def test_a_user_is_found_signed_in_made_available_and_reported_active(folded: bool) -> None:
    server = ScriptedServer()
    web_token = "cwt=AAEB-web1"
    links = {"user": USER, "xframe": f"{WEB}/Autodiscover/XFrame/XFrame.html"}
    found = resource("user", USER, {"applications": f"{POOL}{APPLICATIONS}", "xframe": links["xframe"]})
    body = {"userAgent": "telephony/1.0", "endpointId": "6b0c", "culture": "en-US"}
    # UCWA documents that the internal host is asked before the external one.
    server.awaits("GET", "https://lyncdiscoverinternal.example.org/", httpx.ConnectError("no such host"), token=None)
    server.awaits("GET", ROOT, ok(resource("root", ROOT, links)), token=None)
    server.awaits("GET", USER, challenge(WEB)[folded], token=None)
    server.awaits("POST", f"{WEB}/WebTicket/oauthtoken", ticket(web_token), form=FORM, token=None)
    server.awaits("GET", USER, ok(found), token=web_token)
    # A token belongs to one host: it is not shown to the pool, which asks for one of its own.
    server.awaits("POST", APPLICATIONS, challenge(POOL)[folded], json=body, token=None)
    server.awaits("POST", "/WebTicket/oauthtoken", ticket(TOKEN), form=FORM, token=None)
    server.awaits("POST", APPLICATIONS, ok(application(), 201), json=body)
    server.awaits("POST", f"{A}/me/makeMeAvailable", json=AVAILABLE)

    async with desk(server, application_url=None, poll_timeout=300, available=True) as here:
        named = {"reportMyActivity": f"{A}/reportMyActivity", "presence": f"{A}/me/presence", "note": f"{A}/me/note"}
        me = resource("me", f"{A}/me", named | {"location": f"{A}/me/location"}, uri="sip:ada@example.org", name="Ada")
        others = [resource(rel, f"{A}/me/{rel}") for rel in ("presence", "note", "location")]
        # What is not embedded may be read at once, or when it is needed.
        server.tolerates(f"{A}/me", me)
        server.tolerates(A, application() | {"_embedded": {"me": me, "communication": COMMUNICATION}})
        told = [event("updated", ME, bare=True), *(event("added", other, bare=True) for other in others)]
        await here.hears(sender("me", f"{A}/me", *told), communication(event("updated", COMMUNICATION)))

        for _ in range(2):
            server.awaits("POST", f"{A}/reportMyActivity")
            await here.clock.advance(180.0)
            assert server.script == []
        assert here.bridge.health.channel == "open"


async def test_secrets_reach_no_host_outside_the_domain() -> None:
    server = ScriptedServer()
    evil = resource("user", USER, {"applications": "https://pool2.example.org.evil.net/ucwa/oauth/v1/applications"})
    server.awaits("GET", USER, challenge(WEB)[0], token=None)
    server.awaits("POST", f"{WEB}/WebTicket/oauthtoken", ticket(TOKEN), form=FORM, token=None)
    server.awaits("GET", USER, ok(evil))

    with pytest.raises(Exception, match=r"evil\.net") as caught:
        async with desk(server, application_url=None, user_url=USER):
            pass

    assert PASSWORD not in str(caught.value)
    assert (server.wrong, server.script, server.polls) == ([], [], [])
