"""Media connections of a provider: through the bridge's own server, another one, and in the bridge's own loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import cast

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from anyio import to_thread
from anyio.from_thread import BlockingPortal
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as dial_websocket

from telco_bridge import (
    Bridge,
    Call,
    CallAudio,
    CallState,
    OutcomeUnknown,
    StreamState,
    TerminationReason,
    connect,
)
from telco_bridge.audio import PCM16_8K, AudioFrame, Digit, HeardBy, PlaybackState
from telco_bridge.mediasocket import MAX_MESSAGE, Crossing, MediaSocket
from telco_bridge.provider import (
    Clear,
    Command,
    MediaEndpoint,
    MediaFact,
    MediaHeard,
    MediaLine,
    MediaOpened,
    MediaOrder,
    MediaPort,
    MediaReply,
    MediaStopped,
    MediaWire,
    PlayAudio,
    PlayMark,
    ReachedMark,
    RemoteDigit,
    StartMedia,
    Transport,
    Unintelligible,
    Unsupported,
    WebRequest,
)

from .conftest import Script

FRAME = bytes(range(1, 161)) * 2
PATIENCE = 10.0


class PlainWire(MediaWire):
    """Bytes are audio; words are everything else."""

    marks = True

    def decode(self, message: str | bytes) -> Iterable[MediaFact]:
        if isinstance(message, bytes):
            return (MediaHeard(message),)
        word, _, rest = message.partition(" ")
        facts: dict[str, MediaFact] = {
            "open": MediaOpened(PCM16_8K, "audio:1"),
            "key": RemoteDigit(rest),
            "mark": ReachedMark(rest),
            "ping": MediaReply("pong"),
            "stop": MediaStopped("stop"),
        }
        if word not in facts:
            raise Unintelligible(message)
        return (facts[word],)

    def encode(self, order: MediaOrder) -> str | bytes | None:
        match order:
            case PlayAudio():
                return order.payload
            case PlayMark():
                return f"mark {order.name}"
            case Clear():
                return "clear"
            case _:
                return None


class Provider:
    """The far side: it connects when it is told to start a stream, in a thread of its own."""

    def __init__(self, script: Script) -> None:
        self.endpoint: MediaEndpoint | None = None
        self.socket: ClientConnection | None = None
        self.opens = True
        self.stack = ExitStack()
        script.media = lambda opening: PlainWire()
        script.on(StartMedia, *[self.start] * 20)

    async def start(self, command: Command) -> None:
        assert isinstance(command, StartMedia)
        self.endpoint = command.endpoint
        if self.opens:
            await self.do(self.connect)

    def connect(self) -> None:
        assert self.endpoint is not None
        assert self.endpoint.url is not None
        bearer = self.endpoint.bearer.get_secret_value()
        self.open(self.endpoint.url, {"Authorization": f"Bearer {bearer}"}).send("open")

    def open(self, url: str, headers: dict[str, str] | None = None) -> ClientConnection:
        # The client's own log is not the bridge's.
        there = dial_websocket(url, additional_headers=headers, logger=logging.getLogger("client"))
        self.socket = self.stack.enter_context(there)
        return self.socket

    async def do(self, work: Callable[[], object]) -> None:
        await to_thread.run_sync(work)

    async def send(self, *messages: str | bytes) -> None:
        assert self.socket is not None
        for message in messages:
            await self.do(lambda message=message: self.socket and self.socket.send(message))

    async def receive(self) -> str | bytes:
        socket = self.socket
        assert socket is not None
        return await to_thread.run_sync(lambda: socket.recv(PATIENCE))

    async def ended(self) -> int | None:
        """Read to the end of the connection; return its code."""
        socket = self.socket
        assert socket is not None

        def read() -> int | None:
            try:
                while True:
                    socket.recv(PATIENCE)
            except ConnectionClosed:
                return socket.close_code

        return await to_thread.run_sync(read)

    def hang_up(self) -> None:
        if self.socket is not None:
            self.socket.close()


@pytest.fixture
def provider(script: Script) -> Iterator[Provider]:
    made = Provider(script)
    with made.stack:
        yield made


@pytest.fixture(params=["own server", "another server"])
def lane(request: pytest.FixtureRequest) -> bool:
    """Whether the server offers its fast lane."""
    return request.param == "own server"


@asynccontextmanager
async def served(script: Script, *, lane: bool = True) -> AsyncGenerator[Bridge]:
    """A bridge whose web application is served from another thread."""
    lifecycle = {"confirm_timeout": 5.0, "close_timeout": 5.0}
    if lane:
        async with connect(
            {"provider": script.plugin, "web": {"listen": "127.0.0.1:0"}, "lifecycle": lifecycle}
        ) as own:
            yield own
        return
    with anyio.CancelScope():
        started = threading.Event()
        config = uvicorn.Config(_not_yet, port=0, log_config=None, lifespan="off", ws="websockets-sansio")
        server = uvicorn.Server(config)
        sockets = [config.bind_socket()]
        port = sockets[0].getsockname()[1]
        web = {"public_url": f"http://127.0.0.1:{port}"}
        bridge = connect({"provider": script.plugin, "web": web, "lifecycle": lifecycle})
        config.app = bridge.asgi
        thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)

        def run() -> None:
            thread.start()
            while not server.started:
                started.wait(0.01)

        await to_thread.run_sync(run)
        try:
            async with bridge:
                yield bridge
        finally:
            server.should_exit = True
            await to_thread.run_sync(thread.join)
            for listener in sockets:
                listener.close()


async def _not_yet(scope: object, receive: object, send: object) -> None:
    raise AssertionError("replaced before it is served")


@asynccontextmanager
async def call_on(bridge: Bridge, script: Script) -> AsyncGenerator[Call]:
    call = await bridge.dial("+15550100")
    script.connected(call.native_id or "")
    yield call


async def frame_of(audio: CallAudio) -> AudioFrame:
    async for item in audio:
        if isinstance(item, AudioFrame):
            return item
    raise AssertionError("the audio is over")


async def test_audio_and_words_go_both_ways(script: Script, provider: Provider, lane: bool) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call:
        async with call.audio(direction="both") as audio:
            await provider.send(FRAME, "key 5", FRAME)
            assert (await frame_of(audio)).data == FRAME
            assert await anext(audio) == Digit("5")
            playback = audio.play(FRAME * 2)
            assert [await provider.receive() for _ in range(3)] == [FRAME, FRAME, f"mark {playback.id}"]
            await provider.send(f"mark {playback.id}")
            assert (await playback.finished()).by is HeardBy.MARK
        assert await provider.ended() == 1000
        assert call.state is CallState.CONNECTED


async def test_a_provider_that_wants_an_answer_gets_it(script: Script, provider: Provider, lane: bool) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call, call.audio():
        await provider.send("ping")
        assert await provider.receive() == "pong"
        provider.hang_up()


async def test_a_message_that_nobody_can_read_is_counted_and_the_stream_goes_on(
    script: Script, provider: Provider, lane: bool
) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call, call.audio() as audio:
        await provider.send("gibberish", FRAME)
        await frame_of(audio)
        assert (audio.stats.unreadable, audio.stats.frames) == (1, 1)
        provider.hang_up()


async def test_a_provider_that_ends_the_stream_ends_nothing_else(
    script: Script, provider: Provider, lane: bool
) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call, call.audio() as audio:
        await provider.send("stop")
        told = await audio.stream.ended()
        assert told.reason is TerminationReason.UNKNOWN
        assert call.state is CallState.CONNECTED
        assert await provider.ended() == 1000


async def test_a_connection_that_breaks_ends_the_stream_as_lost(script: Script, provider: Provider, lane: bool) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call, call.audio() as audio:
        assert provider.socket is not None
        provider.socket.socket.close()
        told = await audio.stream.ended()
        assert told.reason is TerminationReason.MEDIA_LOST
        assert told.native is not None
        assert call.state is CallState.CONNECTED


async def test_a_message_that_is_too_large_ends_the_stream(script: Script, provider: Provider, lane: bool) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call, call.audio() as audio:
        await provider.send(bytes(MAX_MESSAGE + 1))
        told = await audio.stream.ended()
        assert told.reason is TerminationReason.MEDIA_LOST
        assert await provider.ended() == 1009
        assert call.state is CallState.CONNECTED


async def test_leaving_with_the_bridge_hangs_up(script: Script, provider: Provider, lane: bool) -> None:
    async with served(script, lane=lane) as bridge, call_on(bridge, script) as call:
        audio = await call.audio(direction="both").__aenter__()
        playback = audio.play(FRAME * 100)
    assert playback.state is PlaybackState.CUT
    assert audio.stream.state is StreamState.ENDED
    provider.hang_up()


async def test_a_token_is_good_once(script: Script, provider: Provider) -> None:
    async with served(script) as bridge, call_on(bridge, script) as call, call.audio():
        with pytest.raises(InvalidStatus, match="403"):
            await provider.do(provider.connect)
        await provider.send("stop")


async def test_a_token_in_the_path_is_taken_and_never_logged(
    script: Script, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.opens = False
    secret = ""

    async def start(command: Command) -> None:
        nonlocal secret
        assert isinstance(command, StartMedia)
        assert command.endpoint is not None
        assert command.endpoint.secret_url is not None
        secret = command.endpoint.secret_url.get_secret_value()
        assert secret.rpartition("/")[2] not in repr(command)

        def connect_there() -> None:
            provider.open(secret).send("open")

        await provider.do(connect_there)

    script.steps[StartMedia].clear()
    script.on(StartMedia, start)
    async with served(script) as bridge, call_on(bridge, script) as call, call.audio() as audio:
        await provider.send(FRAME)
        await frame_of(audio)
        assert secret.rpartition("/")[2] not in repr(audio)
        await provider.send("stop")

    token = secret.rpartition("/")[2]
    assert len(token) > 30
    ours = [record.getMessage() for record in caplog.records if record.name != "client"]
    assert any("/media/" in message for message in ours)
    assert not [message for message in ours if token in message]


async def test_nobody_is_let_in_where_the_provider_opens_no_media(script: Script, provider: Provider) -> None:

    def none(opening: WebRequest) -> MediaWire:
        raise Unsupported("no media")

    script.media = none
    script.steps[StartMedia].clear()

    async def start(command: Command) -> None:
        assert isinstance(command, StartMedia)
        provider.endpoint = command.endpoint
        with pytest.raises(InvalidStatus, match="403"):
            await provider.do(provider.connect)
        script.push(command.ref, streams=())

    script.on(StartMedia, start)
    async with served(script) as bridge, call_on(bridge, script) as call:
        with pytest.raises(OutcomeUnknown), anyio.fail_after(PATIENCE):
            async with call.audio():
                pass


async def test_a_provider_that_connects_and_says_nothing_is_given_up(script: Script, provider: Provider) -> None:
    script.steps[StartMedia].clear()

    async def start(command: Command) -> None:
        assert isinstance(command, StartMedia)
        endpoint = command.endpoint
        assert endpoint is not None

        def dumb() -> None:
            provider.open(endpoint.url or "", {"Authorization": f"Bearer {endpoint.bearer.get_secret_value()}"})

        await provider.do(dumb)

    script.on(StartMedia, start)
    async with (
        connect(
            {
                "provider": script.plugin,
                "web": {"listen": "127.0.0.1:0"},
                "lifecycle": {"confirm_timeout": 0.3, "close_timeout": 2.0},
            }
        ) as bridge,
        call_on(bridge, script) as call,
    ):
        with pytest.raises(OutcomeUnknown):
            async with call.audio():
                pass
        assert await provider.ended() == 1000


async def test_a_slow_reader_that_blocks_stops_the_reading_and_loses_nothing(
    script: Script, provider: Provider, lane: bool
) -> None:
    async with (
        served(script, lane=lane) as bridge,
        call_on(bridge, script) as call,
        call.audio(buffer=0.1, overflow="block") as audio,
    ):
        await provider.send(*[FRAME] * 50)
        while not audio.stats.blocked:  # noqa: ASYNC110 - it stops when it has read enough
            await anyio.sleep(0.01)
        for _ in range(50):
            assert (await frame_of(audio)).data == FRAME
        assert (audio.stats.dropped, audio.stats.frames) == (0, 50)
        await provider.send("stop")


class Desk:
    """A port's provider side, and what it was told."""

    def __init__(self) -> None:
        self.full = False
        self.lost: list[str | None] = []
        self.line: MediaLine | None = None

    def attach(self, line: MediaLine, *, transport: Transport) -> None:
        self.line = line

    def close(self, lost: str | None = None) -> None:
        self.lost.append(lost)
        assert self.line is not None
        self.line.close()


async def test_a_provider_that_no_longer_reads_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    desk, sent = Desk(), 0

    async def never() -> dict[str, object]:
        await anyio.sleep_forever()
        return {}

    async def stuck(message: object) -> None:
        nonlocal sent
        sent += 1
        await anyio.sleep_forever()

    async with BlockingPortal() as portal, anyio.create_task_group() as tasks:
        socket = MediaSocket(cast("MediaPort", desk), PlainWire(), Crossing(portal), never, stuck)
        tasks.start_soon(socket.run)
        await anyio.wait_all_tasks_blocked()
        for _ in range(1010):
            socket.send(PlayAudio(FRAME))
            await anyio.lowlevel.checkpoint()

    # `run` has come to its end, although what it was sending never did.
    assert sent == 1
    assert desk.lost[0] == "the provider no longer reads its media connection"
    assert "is given up" in caplog.text


async def test_work_crosses_from_another_thread_in_order_and_an_error_stops_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[int] = []
    finished = anyio.Event()

    def broken() -> None:
        raise ZeroDivisionError

    async with BlockingPortal() as portal:
        crossing = Crossing(portal)
        assert crossing.home

        def elsewhere() -> None:
            assert not crossing.home
            for number in range(100):
                crossing.do(lambda number=number: done.append(number))
            crossing.do(broken)
            crossing.do(finished.set)

        await to_thread.run_sync(elsewhere)
        with anyio.fail_after(PATIENCE):
            await finished.wait()

    assert done == list(range(100))
    assert "could not be taken" in caplog.text
    # Nobody is left to do it for.
    await to_thread.run_sync(lambda: crossing.do(broken))


async def test_a_plugin_that_breaks_on_a_message_breaks_nothing_else(
    script: Script, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(PlainWire):
        def decode(self, message: str | bytes) -> Iterable[MediaFact]:
            if message == "trip":
                raise ZeroDivisionError
            return super().decode(message)

        def encode(self, order: MediaOrder) -> str | bytes | None:
            if isinstance(order, PlayAudio) and order.payload == bytes(320):
                raise ZeroDivisionError
            return super().encode(order)

    script.media = lambda opening: Broken()
    async with served(script) as bridge, call_on(bridge, script) as call, call.audio(direction="both") as audio:
        await provider.send("trip", FRAME)
        assert (await frame_of(audio)).data == FRAME
        assert audio.stats.unreadable == 1
        with pytest.raises(ZeroDivisionError):
            await audio.play(bytes(320)).finished()
        audio.play(FRAME)
        assert await provider.receive() == FRAME
        assert bridge.health.channel == "open"
        await provider.send("stop")
    assert "could not be translated" in caplog.text
