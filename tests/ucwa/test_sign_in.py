"""The client signs in to the emulator, and stays signed in whatever the server does with tokens and pools."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from telco_bridge.provider import AuthenticationFailed, Gap, ProviderError
from telco_bridge.sandbox import Fault
from telco_bridge_ucwa.config import UcwaConfig
from telco_bridge_ucwa.session import open_session


class Host:
    """Keeps what is reported, and tells when a gap was."""

    def __init__(self, clock):
        self.clock = clock
        self.facts = []
        self.gap = anyio.Event()

    def stamp(self):
        return self.clock.now()

    def report(self, *facts):
        self.facts += facts
        if any(isinstance(fact, Gap) for fact in facts):
            self.gap.set()

    def url(self, path, **query):
        return None


@asynccontextmanager
async def signed_in(served, *without, **settings):
    profile = {k: v for k, v in served.emulator.profile().items() if k not in ("provider", *without)} | settings
    host = Host(served.exchange.clock)
    async with (
        open_session(UcwaConfig.model_validate(profile), host) as session,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(session.run)
        await anyio.to_thread.run_sync(served.emulator.wire.wait_for, "POST applications")
        yield session, host
        tasks.cancel_scope.cancel()


def asked(served, line):
    return [record.answer for record in served.emulator.wire.records() if record.line == line]


@pytest.mark.parametrize("refusal", [401, 403])
async def test_discovery_and_pool_on_two_hosts_take_a_token_each(serve, refusal):
    served = serve(pool_host="localhost", token_refusal=refusal)

    async with signed_in(served, "user_url", root_url=served.emulator.root_url):
        pass

    assert [answer[:3] for answer in asked(served, "POST oauthtoken")] == ["200", "200"]
    assert [answer[:3] for answer in asked(served, "POST applications")] == ["401", "201"]
    assert served.emulator.applications == []


async def test_a_token_is_renewed_before_it_expires_so_that_nothing_is_refused(serve):
    served = serve(token_lifetime=400.0, speed=200.0)
    renewed = threading.Event()

    def listen(_):
        if len(asked(served, "POST oauthtoken")) == 2:
            renewed.set()

    served.emulator.wire.listen(listen)
    async with signed_in(served):
        assert await anyio.to_thread.run_sync(renewed.wait, 20.0)

    assert not [record for record in served.emulator.wire.records() if record.answer.startswith("401")][2:]


async def test_a_remembered_address_that_is_forbidden_is_looked_for_again(serve):
    served = serve(speed=50.0)

    async with signed_in(served) as (session, host):
        served.emulator.expire_links()
        served.emulator.faults.inject(Fault.LOSE_APPLICATION, on="GET conversations")
        with pytest.raises(ProviderError, match="404"):
            await session.list_calls()
        with anyio.fail_after(10):
            await host.gap.wait()

    assert [answer[:3] for answer in asked(served, "POST applications")][-2:] == ["403", "201"]


async def test_a_user_who_is_moved_to_another_pool_is_signed_in_there(serve):
    served = serve(speed=50.0)
    port = served.emulator.url.rpartition(":")[2]

    async with signed_in(served, allowed_hosts=[f"localhost:{port}"]) as (_, host):
        served.emulator.move_pool("localhost")
        with anyio.fail_after(10):
            await host.gap.wait()

        assert len(served.emulator.applications) == 1
    assert [answer[:3] for answer in asked(served, "POST applications")][-1] == "201"


async def test_a_wrong_password_names_the_user_and_not_the_password(served):
    with pytest.raises(AuthenticationFailed, match=r"ada@sandbox\.test.*invalid_grant") as caught:
        async with signed_in(served, password="difference-engine"):
            pass

    assert "difference" not in str(caught.value)


async def test_a_guest_signs_in_with_the_meetings_key(served):
    settings = {
        "conference_uri": "sip:ada@sandbox.test;gruu;opaque=app:conf:focus:id:GH4T8KJ2",
        "conference_key": "GH4T8KJ2",
    }
    profile = {"user_url": served.emulator.profile()["user_url"], **settings}

    async with open_session(UcwaConfig.model_validate(profile), Host(served.exchange.clock)):
        assert len(served.emulator.applications) == 1

    assert served.emulator.applications == []


async def test_on_an_older_server_calls_ring_on_the_users_phone(serve):
    served = serve(takes_voip=False)

    async with signed_in(served, available=True):
        communication = served.emulator.applications[0].communication
        assert communication.prefers_phone
        assert communication.voip_modalities == frozenset()

    assert [answer[:3] for answer in asked(served, "POST makeMeAvailable")] == ["403", "204"]


def test_a_guest_is_told_a_name_and_may_not_be_available(served):
    user = served.emulator.profile()["user_url"]
    challenge = httpx.get(user).headers.get_list("www-authenticate")[1]
    form = {
        "grant_type": "urn:microsoft.rtc:anonmeeting",
        "password": "GH4T8KJ2",
        "ms_rtc_conferenceuri": "sip:ada@sandbox.test;gruu;opaque=app:conf:focus:id:GH4T8KJ2",
    }
    ticket = httpx.post(challenge.split('href="')[1].split('"')[0], data=form).json()
    with httpx.Client(headers={"Authorization": f"Bearer {ticket['access_token']}"}) as guest:
        factory = guest.get(user).json()["_links"]["anonApplications"]["href"]
        made = guest.post(factory, json={"culture": "en-US", "userAgent": "tests/1.0"}).json()
        links = served.emulator.applications[0].me._links
        refused = guest.post(httpx.URL(factory).join(links["makeMeAvailable"].href), json={})

    me = made["_embedded"]["me"]
    assert set(me) - {"rel", "_links"} == {"uri", "name"}
    assert set(me["_links"]) == {"self"}
    assert (refused.status_code, refused.json()["subcode"]) == (403, "AnonymousNotAllowed")
