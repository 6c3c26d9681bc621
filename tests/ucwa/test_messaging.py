"""Messages as a modality of a call: begun, written and ended, at the typed door, on the wire, and end to end."""

from __future__ import annotations

import json
from contextlib import aclosing

import anyio
import anyio.to_thread
import pytest

import telco_bridge
from telco_bridge.media import Modality, StreamState
from telco_bridge.provider import AnswerLost, CallState, Capability, Refused, TerminationReason, TooLate
from telco_bridge.sandbox import Exchange
from telco_bridge.serving import Server as Serving
from telco_bridge_ucwa.emulator import UcwaEmulator
from telco_bridge_ucwa.native import Message, MessageFormat, MessagingInvitation, ModalityState, UcwaApplication
from telco_bridge_ucwa.native.messages import Chat
from telco_bridge_ucwa.wire import text_in, text_link

from .test_native import BOB, CALL, JOINED, Server, door, event, resource

C = "/app/c1"
M = f"{C}/messaging"
SENT = f"{M}/messages/7"
INVITATION = "/app/invitations/m1"
HUB = "/app/communication"
WRITING = ("stopMessaging", "sendMessage", "setIsTyping")


@pytest.fixture
def anyio_backend():
    """One is enough: what waits here is anyio's, and the plugin's other tests run on both."""
    return "trio"


@pytest.fixture
def server():
    made = Server()
    made.shows(messaging())
    yield made
    made.send.close()
    made.receive.close()


def messaging(links=WRITING, state="Connected", formats=("Plain", "Html")):
    named = {"conversation": C} | {rel: f"{M}/{rel}" for rel in links}
    return resource("messaging", M, named, state=state, negotiatedMessageFormats=list(formats))


def tells(body=None, kind="updated"):
    return event(kind, "messaging", M, body or messaging())


def invitation(links=(), message=None, embedded=None, **more):
    named = {"conversation": C, "messaging": M} | {rel: f"{INVITATION}/{rel}" for rel in links}
    if message is not None:
        named["message"] = message
    return resource("messagingInvitation", INVITATION, named, embedded, **{"state": "Connecting", **more})


def asked(kind="started", body=None, **more):
    return event(kind, "messagingInvitation", INVITATION, body, sender=HUB, **more)


def message(href, words=None, direction="Incoming", **more):
    links = {"messaging": M, "participant": BOB} | ({"plainMessage": words} if words is not None else {})
    return resource("message", href, links, direction=direction, **more)


def written(href, body=None, kind="completed", **more):
    return event(kind, "message", href, body, **{"status": "Success", **more})


# At the typed door


async def test_the_modality_is_read_as_it_is_told(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL).messaging
        with pytest.raises(TooLate, match="over, or nothing was heard"):
            _ = here.view
        await server.tell(*JOINED, tells(messaging(("addMessaging",), "Disconnected", formats=())))
        assert (here.view.state, here.view.offered) == (ModalityState.DISCONNECTED, {"addMessaging"})

        read = await here.refresh()

        assert (read.state, read.native_state, read.offered) == (ModalityState.CONNECTED, "Connected", {*WRITING})
        assert read.formats == {MessageFormat.PLAIN, MessageFormat.HTML}


@pytest.mark.parametrize(("html", "kind"), [(False, "text/plain;charset=utf-8"), (True, "text/html;charset=utf-8")])
@pytest.mark.parametrize("told", ["by its id", "by its address", "by being read"])
async def test_a_message_is_sent_once_it_was_delivered(server, html, kind, told):
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*JOINED, tells())
        server.accepts(f"{M}/sendMessage", status=201, location=SENT)
        tasks.start_soon(lambda: native.conversation(CALL).messaging.send("Grüße", html=html))
        await anyio.wait_all_tasks_blocked()
        request = server.requests[-1]
        body = message(SENT, direction="Outgoing", status="Succeeded")
        match told:
            case "by its id":
                with_id = body | {"operationId": request.url.params["operationId"]}
                await server.tell(written(SENT, body, kind="started", status=None), written(SENT, with_id))
            case "by its address":
                await server.tell(written(SENT, body))
            case _:
                server.shows(body)
                await host.clock.advance(45.0)

        assert (request.content.decode(), request.headers["content-type"]) == ("Grüße", kind)


async def test_a_message_that_nobody_got_says_why(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*JOINED, tells())
        server.accepts(f"{M}/sendMessage", status=201, location=SENT)
        caught = []

        async def send():
            with pytest.raises(Refused) as raised:
                await native.conversation(CALL).messaging.send("hello")
            caught.append(raised.value)

        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        failed = message(SENT, direction="Outgoing", status="Failed")
        await server.tell(written(SENT, failed, status="Failure", reason="RemoteFailure/Unreachable"))

    assert caught[0].code == "RemoteFailure/Unreachable"
    assert caught[0].termination.reason is not TerminationReason.NORMAL


async def test_a_message_of_which_nothing_is_told_is_in_doubt(server):
    async with door(server) as (native, host), anyio.create_task_group() as tasks:
        await server.tell(*JOINED, tells())
        server.accepts(f"{M}/sendMessage", status=201, location=SENT)
        server.shows(message(SENT, direction="Outgoing", status="Pending"))

        async def send():
            with pytest.raises(AnswerLost, match="nothing told its outcome"):
                await native.conversation(CALL).messaging.send("hello", timeout=5.0)

        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        await host.clock.advance(5.0)


async def test_what_cannot_be_sent_is_not(server):
    async with door(server) as (native, _):
        here = native.conversation(CALL).messaging
        await server.tell(*JOINED, tells(messaging(formats=("Plain",))))
        with pytest.raises(Refused, match="not empty"):
            await here.send("")
        with pytest.raises(Refused, match="HTML"):
            await here.send("<b>hello</b>", html=True)
        with pytest.raises(TooLate, match="nobody asks"):
            await here.accept()
        server.shows(messaging(("addMessaging",), "Disconnected"))
        await server.tell(tells(messaging(("addMessaging",), "Disconnected")))
        with pytest.raises(TooLate, match="does not offer"):
            await here.send("hello")

        assert server.asked("POST") == ["/apps"]


async def test_typing_and_the_end_follow_their_links(server):
    async with door(server) as (native, _):
        await server.tell(*JOINED, tells())
        server.accepts(f"{M}/setIsTyping", f"{M}/stopMessaging")
        here = native.conversation(CALL).messaging

        await here.set_typing()
        await here.stop()

        assert server.asked("POST")[1:] == [f"{M}/setIsTyping", f"{M}/stopMessaging"]


@pytest.mark.parametrize(
    ("said", "html", "link"),
    [
        (None, False, None),
        ("Hi + bye", False, "data:text/plain;charset=utf-8,Hi%20%2B%20bye"),
        ("<b>Hi</b>", True, "data:text/html;charset=utf-8,%3Cb%3EHi%3C%2Fb%3E"),
    ],
)
async def test_messages_are_added_with_the_first_one_and_without_a_target(server, said, html, link):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        await server.tell(*JOINED, tells(messaging(("addMessaging",), "Disconnected")))
        server.accepts(f"{M}/addMessaging", status=201, location=INVITATION)
        tasks.start_soon(lambda: native.conversation(CALL).messaging.add(said, html=html))
        await anyio.wait_all_tasks_blocked()
        sent = server.body(f"{M}/addMessaging")
        done = invitation(state="Connected", direction="Outgoing", operationId=sent["operationId"])
        await server.tell(asked("completed", done, status="Success"))

    assert set(sent) == {"operationId"} | ({"_links"} if link else set())
    assert sent.get("_links") == ({"message": {"href": link}} if link else None)


@pytest.mark.parametrize("reason", [None, "Local"])
async def test_an_invitation_of_the_other_partys_is_decided(server, reason):
    bob = resource("participant", BOB, uri="sip:bob@example.org", name="Bob")
    rings = invitation(("accept", "decline"), "data:text/plain,Hi+Tosh", {"from": bob}, direction="Incoming")
    async with door(server) as (native, _):
        here = native.conversation(CALL).messaging
        await server.tell(*JOINED)
        assert here.invitation is None
        await server.tell(asked(body=rings))
        server.accepts(f"{INVITATION}/accept", f"{INVITATION}/decline")
        assert here.invitation == MessagingInvitation(message="Hi Tosh", sender="sip:bob@example.org")

        await here.accept()
        await here.decline(reason)
        with pytest.raises(Refused, match="CallDeclineReason"):
            await here.decline("Bored")
        await server.tell(asked("completed", rings | {"state": "Connected"}, status="Success"))

        assert here.invitation is None
        declined = next(r for r in server.requests if r.url.path == f"{INVITATION}/decline")
        assert (json.loads(declined.content) if declined.content else None) == (reason and {"reason": reason})


async def test_what_others_write_is_kept_in_order_and_told_once(server):
    one, two = f"{M}/messages/1", f"{M}/messages/2"
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        here = native.conversation(CALL).messaging
        await server.tell(*JOINED, tells())
        first = message(one, "data:text/plain;charset=utf-8,Hi+Tosh", timeStamp="/Date(1383784870271)/")
        await server.tell(
            written(one, first, kind="started", status=None),
            written(one, first),
            written(SENT, message(SENT, "data:text/plain,mine", direction="Outgoing")),
        )
        seen = []

        async def listen():
            async with aclosing(here.messages()) as messages:
                async for found in messages:
                    seen.append(found.text)  # noqa: PERF401 - what has come is looked at before the last

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        assert here.received == (Message(href=one, text="Hi Tosh", sender=BOB, native_time="/Date(1383784870271)/"),)
        # One that came without its body is fetched at once.
        server.shows(message(two, "data:text/plain;base64,Ynll"))
        await server.tell(written(two))
        assert seen == ["Hi Tosh", "bye"]
        await server.tell(event("deleted", "conversation", C, sender=HUB))

    assert seen == ["Hi Tosh", "bye"]


async def test_nobody_waits_for_messages_of_a_conversation_that_is_over(server):
    async with door(server) as (native, _), anyio.create_task_group() as tasks:
        here = native.conversation(CALL).messaging
        await server.tell(*JOINED, tells())
        heard = []

        async def listen():
            heard.extend([found async for found in here.messages()])
            heard.append("over")

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        server.lost = True
        await server.tell()
        assert heard == ["over"]


def test_only_the_newest_messages_are_kept():
    chat = Chat()
    for number in range(205):
        chat.put(Message(href=f"/m{number}", text=str(number)))

    assert [found.text for found in chat.since(203)] == ["203", "204"]
    assert (len(chat.messages), chat.since(0)[0].text) == (200, "5")


@pytest.mark.parametrize("words", ["", "Grüße & mehr + 1%", "two\r\nlines"])
def test_words_travel_as_they_are(words):
    assert text_in(text_link(words)) == words
    assert text_link(words, html=True).startswith("data:text/html;charset=utf-8,")


@pytest.mark.parametrize("uri", [None, "", "https://example.org/", "data:text/plain", "data:text/plain;base64,x"])
def test_what_holds_no_words_tells_none(uri):
    assert text_in(uri) is None


# On the wire


def connect(client):
    client.start("startPhoneAudio", to="tel:+15550100", phoneNumber="+15550000001", operationId="op-1")
    client.until("phoneAudioInvitation completed")


def add(client, **inputs):
    answer = client.post(client.link("messaging", "addMessaging"), **inputs)
    assert answer.status_code == 201, answer.text
    return client.until("messagingInvitation completed")


def send(client, text, kind="text/plain", **query):
    url = client.url(client.link("messaging", "sendMessage"))
    return client.http.post(url, params=query, content=text, headers={"Content-Type": kind})


def rels(client):
    return set(client.last("messaging")["_links"]) - {"self", "conversation"}


def room(served):
    return served.emulator.applications[0].communication.conversations[0].messaging


def test_messages_beside_a_call_begin_and_end_in_the_order_of_an_invitation(served, client):
    connect(client)
    assert rels(client) == {"addMessaging"}
    before = len(client.told)
    done = add(client, operationId="op-2", _links={"message": {"href": "data:text/plain,Hi"}})

    assert [told.name for told in client.told[before:]] == [
        "messagingInvitation started",
        "messaging updated",
        "messaging updated",
        "participantMessaging added",
        "participantMessaging added",
        "conversation updated",
        "messagingInvitation completed",
    ]
    assert (done.raw["status"], done.body["operationId"]) == ("Success", "op-2")
    assert done.body["_links"]["message"]["href"] == room(served).first == "data:text/plain,Hi"
    assert client.last("conversation")["activeModalities"] == ["Messaging", "Audio"]
    assert rels(client) == {*WRITING}
    assert client.post(client.link("messaging", "stopMessaging")).status_code == 204
    client.until("conversation updated")
    assert client.last("conversation")["activeModalities"] == ["Audio"]
    assert rels(client) == {"addMessaging"}


def test_messages_are_told_once_they_are_through(served, client):
    connect(client)
    add(client)
    answer = send(client, "hello", operationId="m-1")
    assert answer.status_code == 201
    through = client.until("message completed")
    room(served).undeliverable = True
    assert send(client, "again", OperationContext="m-2").status_code == 201
    lost = client.until("message completed")

    assert client.url(through.raw["link"]["href"]) == client.url(answer.headers["location"])
    assert (through.raw["status"], through.body["direction"]) == ("Success", "Outgoing")
    assert (lost.raw["status"], lost.raw["reason"]["subcode"]) == ("Failure", "Unreachable")
    assert [(sent.text, sent.format, sent.named) for sent in room(served).sent] == [
        ("hello", "Plain", "operationId"),
        ("again", "Plain", "OperationContext"),
    ]


@pytest.mark.parametrize(
    ("kind", "query", "status"),
    [
        ("text/plain", {}, 400),
        ("text/plain;charset=nonsense", {"operationId": "m"}, 400),
        ("text/html", {"operationId": "m"}, 415),
        ("application/json", {"operationId": "m"}, 415),
        ("text/plain", {"operationId": "m" * 51}, 400),
    ],
)
def test_messages_that_the_server_does_not_take_are_refused(served, client, kind, query, status):
    connect(client)
    add(client)

    assert send(client, "hello", kind, **query).status_code == status
    assert room(served).sent == []


def test_an_invitation_to_messages_that_is_not_taken_fails(served, client):
    connect(client)
    room(served).takes = False
    link = client.link("messaging", "addMessaging")
    assert client.post(link, _links={"message": {"href": "https://example.org"}}).status_code == 400
    refused = add(client)
    withdrawn = client.post(link)
    assert client.post(link).status_code == 409
    assert client.delete(withdrawn.headers["location"]).status_code == 405
    client.until("messaging updated")
    client.post(client.link("messagingInvitation", "cancel"))
    cancelled = client.until("messagingInvitation completed")

    assert (refused.raw["status"], refused.raw["reason"]["subcode"]) == ("Failure", "NotAcceptable")
    assert cancelled.body["state"] == "Cancelled"
    assert client.last("conversation")["activeModalities"] == ["Audio"]


@pytest.mark.parametrize("verb", ["accept", "decline", "nothing", "withdrawn"])
def test_the_other_party_may_ask_for_messages(serve, verb):
    served = serve(speed=100.0 if verb == "nothing" else 20.0)
    client = served.connect()
    client.sign_in()
    connect(client)
    served.emulator.post(lambda: room(served).invite("Hi there"))
    rung = client.until("messagingInvitation started")
    assert rung.body["_links"]["message"]["href"] == "data:text/plain;charset=utf-8,Hi+there"
    if verb in ("accept", "decline"):
        assert client.post(rung.body["_links"][verb]["href"]).status_code == 204
        assert client.post(rung.body["_links"][verb]["href"]).status_code in (404, 409)
    elif verb == "withdrawn":
        served.emulator.post(room(served).withdraw)
    done = client.until("messagingInvitation completed")

    expected = {"accept": "Connected", "decline": "Declined", "nothing": "Failed", "withdrawn": "Cancelled"}
    assert done.body["state"] == expected[verb]


def test_a_message_that_is_not_fetched_in_time_is_lost(serve):
    served = serve(embedded=False, speed=60.0)
    client = served.connect()
    client.sign_in()
    answer = client.start("startPhoneAudio", to="tel:+15550100", phoneNumber="+15550000001")
    client.until("phoneAudioInvitation completed")
    call = client.get(client.get(answer.headers["location"]).json()["_links"]["conversation"]["href"]).json()
    place = call["_links"]["messaging"]["href"]
    client.post(client.get(place).json()["_links"]["addMessaging"]["href"])
    client.until("messagingInvitation completed")
    served.emulator.post(lambda: (room(served).receive("one"), room(served).receive("two", html=True)))
    hrefs = [told.raw["link"]["href"] for told in client.poll() if told.rel == "message"]
    one = client.get(hrefs[0]).json()
    assert one["_links"]["plainMessage"]["href"] == "data:text/plain;charset=utf-8,one"
    served.exchange.after(31.0, lambda: served.emulator.post(room(served).updated))
    client.until("messaging updated")

    assert room(served).lost == ["two"]
    assert client.get(hrefs[1]).status_code == 404


# End to end


async def test_a_call_carries_messages_beside_its_audio(anyio_backend):
    with Exchange(speed=20.0) as exchange:
        emulator = UcwaEmulator(exchange)
        with Serving(emulator.app, started=emulator.started, stopped=emulator.stopped):
            async with telco_bridge.connect({**emulator.profile(), "available": True}) as bridge:
                call = await bridge.dial("+15550100")
                await call.until(lambda view: call.can(Capability.START_MESSAGING))
                stream = await call.start(Modality.MESSAGING, native={"message": "Hello"})
                there = emulator.applications[0].communication.conversations[0].messaging
                assert text_in(there.first) == "Hello"
                assert (stream.modality, stream.state) == (Modality.MESSAGING, StreamState.ACTIVE)
                here = bridge.native(UcwaApplication).conversation(call).messaging
                await here.send("How are you?")
                emulator.post(lambda: there.receive("Fine + well"))
                async with aclosing(here.messages()) as messages:
                    assert (await anext(messages)).text == "Fine + well"
                result = await call.stop(Modality.MESSAGING)
                assert (result.streams, result.call_ended) == ((stream,), False)
                assert call.state is CallState.CONNECTED
                emulator.post(lambda: there.invite("And you?"))
                await call.until(lambda view: any(s.state is StreamState.OFFERED for s in view.streams))
                assert here.invitation.message == "And you?"
                await here.accept()
                await call.until(lambda view: call.can(Capability.STOP_MESSAGING))
                await call.hangup()

        assert [sent.text for sent in there.sent] == ["How are you?"]
