"""The call, as an application holds it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import anyio

from .audio.formats import PCM16_8K, AudioFormat, Encoding
from .audio.frames import Overflow
from .audio.port import PortSettings
from .callaudio import CallAudio
from .callfacts import CallFacts
from .commands import (
    Answer,
    Channels,
    Command,
    HangUp,
    Hold,
    Mute,
    Play,
    Redirect,
    Reject,
    Resume,
    Say,
    SendDigits,
    StartMedia,
    StartRecording,
    StopMedia,
    Transfer,
    Unmute,
    new_id,
)
from .dispatch import Dispatch
from .errors import NotAnswered, NotPossibleNow, OutcomeUnknown, Refused, TelcoBridgeError
from .media import MediaDirection, Modality, StreamState, modality_named
from .mediastream import MediaStream, StopResult
from .recordings import Recording
from .reports import CallState
from .switchboard import CallRecord
from .termination import Termination, TerminationReason, reason_named
from .views import CallView

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from .audio.playback import Playback
    from .audio.port import MediaPort
    from .callrecording import CallRecording
    from .mediagate import MediaGate

__all__ = ["Call", "MediaStream", "StopResult"]

_log = logging.getLogger("telco_bridge")

_NORMAL = TerminationReason.NORMAL
_LONGEST_LEAD = 5.0


class Call(CallFacts):
    """One phone call, from before the first ring to its end.

    A handle: every property shows the newest facts, and only facts. `state` is what was reported; what this side asked
    for, and has not seen happen, is `asked`. Made by `Bridge.dial` and `Bridge.incoming`.

    `async with call:` hangs up on leaving, whatever the reason for leaving, unless the call was released.
    """

    def __init__(self, record: CallRecord, dispatch: Dispatch, gate: MediaGate, *, close_timeout: float) -> None:
        super().__init__(record, dispatch)
        self._gate = gate
        self._close_timeout = close_timeout

    def __repr__(self) -> str:
        why = f", {self.termination.reason}" if self.termination else ""
        return f"<Call {self.id} on {self.view.provider}: {self.state}{why}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self._record is other._record

    def __hash__(self) -> int:
        return id(self._record)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._record.released or self.view.over:
            return
        failure = f"it took longer than {self._close_timeout:g} s"
        with anyio.move_on_after(self._close_timeout, shield=True):
            try:
                await self.hangup()
            except TelcoBridgeError as failed:
                # An error that is leaving already is the user's, and goes first.
                if error is None and not isinstance(failed, NotPossibleNow):
                    raise
                failure = str(failed)
            else:
                return
        _log.warning("%s: call %s could not be hung up: %s", self.view.provider, self.id, failure)

    @property
    def streams(self) -> tuple[MediaStream, ...]:
        """Every stream the call has had, oldest first, ended ones included."""
        return tuple(MediaStream(self, stream.id) for stream in self.view.streams)

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """Every recording that the provider makes of the call, oldest first."""
        return tuple(Recording(self._record, self._dispatch, known.id) for known in self.view.recordings)

    # Waiting ------------------------------------------------------------------------------------------------------

    async def answered(self) -> Self:
        """Wait until the far end has answered. Raises `NotAnswered`, with the reason, if the call ends before."""
        await self.until(lambda view: view.reached is CallState.CONNECTED or view.over)
        if self.view.reached is not CallState.CONNECTED:
            termination = self.view.termination or Termination()
            raise NotAnswered(f"not answered: {termination.reason} ({termination.native})", termination)
        return self

    async def ended(self) -> Termination:
        """Wait for the end of the call; return why it ended."""
        await self.until(lambda view: view.over)
        return self.view.termination or Termination()

    async def until(self, condition: Callable[[CallView], bool]) -> CallView:
        """Wait until the condition holds for what is known of the call; return that."""
        while not condition(self.view):
            if self._record.log.closed and not self.view.over:
                raise NotPossibleNow("the bridge is closed; nothing more will be known of this call")
            await self._record.log.grown().wait()
        return self.view

    # Asking -------------------------------------------------------------------------------------------------------

    async def answer(self, *, sdp: str | None = None, native: Mapping[str, object] | None = None) -> Self:
        """Take an inbound call; return when it is connected. It is then owned."""
        await self._perform(Answer(id=new_id(), call=self.id, ref=self.native_id, sdp=sdp, native=native or {}))
        self._record.owned = True
        return self

    async def reject(
        self,
        *,
        reason: TerminationReason = TerminationReason.REJECTED,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> Termination:
        """Refuse an inbound call; return how it ended."""
        reason = reason_named(reason)
        command = Reject(id=new_id(), call=self.id, ref=self.native_id, reason=reason, note=note, native=native or {})
        await self._perform(command)
        return await self.ended()

    async def redirect(self, to: str, *, note: str | None = None) -> Termination:
        """Send an inbound call that nobody has answered to another address; return how it ended here.

        A provider that stays in the path says so only when the two have spoken to each other; its support note tells.
        """
        command = Redirect(
            id=new_id(), call=self.id, ref=self.native_id, to=to, reason=TerminationReason.REDIRECTED, note=note
        )
        await self._perform(command)
        return await self.ended()

    async def start(
        self,
        modality: Modality,
        *,
        to: str | None = None,
        offer: str | None = None,
        name: str | None = None,
        direction: MediaDirection | None = None,
        native: Mapping[str, object] | None = None,
    ) -> MediaStream:
        """Let media of that modality flow and return its stream; a stream that flows already is returned as it is.

        `to` is where a copy goes (`wss://…`), for providers that copy; `offer` an SDP body, for providers that leave
        the media to the application. Raises `Unsupported`, `NotPossibleNow`, `Refused` or `OutcomeUnknown`.
        """
        modality = modality_named(modality)
        if to is None and name is None:
            live = next((s for s in self.view.live_streams if s.modality is modality), None)
            if live is not None and (live.state is StreamState.ACTIVE or not live.observable):
                return MediaStream(self, live.id)
        else:
            live = None
        command = StartMedia(
            id=new_id(),
            call=self.id,
            ref=self.native_id,
            modality=modality,
            to=to,
            offer=offer,
            stream_name=name,
            direction=direction,
            native=native or {},
        )
        if live is not None and live.state is StreamState.STARTING and self.view.reached is CallState.CONNECTED:
            # A second start would make a second stream; this one may only be slow to tell that it flows.
            await self._dispatch.await_stream(self._record, live.id, command)
            started = self.view.stream(live.id)
            if started is not None and started.live:
                return MediaStream(self, live.id)
        port: MediaPort | None = None
        if modality is Modality.AUDIO and to is None and offer is None and self._gate.public:
            way = direction if direction is MediaDirection.BOTH else MediaDirection.RECEIVE
            port = self._gate.open(command.id, way, PortSettings(format=PCM16_8K), required=False)
            command = replace(command, endpoint=port.endpoint)
        return await self._start(command, port)

    def audio(
        self,
        *,
        direction: MediaDirection | Literal["receive", "both"] = MediaDirection.RECEIVE,
        format: AudioFormat = PCM16_8K,  # noqa: A002 - the word of the field
        overflow: Overflow | Literal["drop_oldest", "block"] = Overflow.DROP_OLDEST,
        buffer: float = 5.0,
        lead: float = 0.1,
        native: Mapping[str, object] | None = None,
    ) -> CallAudio:
        """Return the audio of the call, to be entered: `async with call.audio() as audio:`.

        Entering starts a stream to the bridge and waits until it flows; leaving stops it and leaves the call alone.
        With `direction="both"` sounds can be played to the far end. Frames come in `format`, converted only where the
        provider's own differs. Up to `buffer` seconds wait to be fetched; beyond, `overflow` says what happens. Sounds
        are sent `lead` seconds ahead of being heard.

        Entering raises `Unsupported` before anything is sent where the provider's audio never comes to an application,
        `ConfigError` where the bridge has no public address for it, `NotPossibleNow`, `Refused` or `OutcomeUnknown`.
        """
        way = MediaDirection(direction)
        if way not in (MediaDirection.RECEIVE, MediaDirection.BOTH):
            raise ValueError(f"direction is {direction!r}; audio is opened with 'receive' or 'both'")
        if not buffer > 0 or not 0 <= lead <= _LONGEST_LEAD:
            raise ValueError(f"buffer is {buffer} and lead {lead}: seconds above 0, and from 0 to {_LONGEST_LEAD:g}")
        settings = PortSettings(format=format, overflow=Overflow(overflow), buffer=buffer * 1000.0, lead=lead * 1000.0)
        return CallAudio(self, settings, way, native or {}, close_timeout=self._close_timeout)

    def record_to(
        self, path: str | Path, *, rate: int = 8000, native: Mapping[str, object] | None = None
    ) -> CallRecording:
        """Return a recording of the call, to be entered: `async with call.record_to("call.wav"):`.

        Both tracks are written as they come, at `rate` hertz, to a stereo WAV file that can be played whenever the
        process dies. Leaving ends the recording and not the call. Entering raises `OSError` where the file cannot be
        written, and otherwise as `audio`.
        """
        from .callrecording import CallRecording

        return CallRecording(self.audio(format=AudioFormat(Encoding.PCM16, rate), native=native), path)

    async def start_audio(
        self, settings: PortSettings, direction: MediaDirection, native: Mapping[str, object]
    ) -> tuple[MediaPort, MediaStream]:
        """Start a stream of the call's audio to the bridge, and wait until it flows. Raises as `audio` says."""
        command = StartMedia(
            id=new_id(),
            call=self.id,
            ref=self.native_id,
            modality=Modality.AUDIO,
            direction=direction,
            native=native,
        )
        port = self._gate.open(command.id, direction, settings)
        command = replace(command, endpoint=port.endpoint)
        stream = await self._start(command, port)
        flows = False
        try:
            flows = await self._dispatch.flows(port)
        finally:
            if not flows:
                port.close()
                await self._abandon(stream)
        if flows:
            return port, stream
        if stream.termination is not None and stream.termination.requested is None:
            raise Refused(
                f"audio: the stream ended before anything was heard: {stream.termination.reason}",
                termination=stream.termination,
                provider=self.view.provider,
            )
        raise OutcomeUnknown(
            "audio: the provider said that the stream runs, and brought nothing; stopped again", command
        )

    async def _abandon(self, stream: MediaStream) -> None:
        """Stop a stream that nobody will hear, within bounded time."""
        with anyio.move_on_after(self._close_timeout, shield=True):
            try:
                await stream.stop()
            except TelcoBridgeError as error:
                _log.warning("%s: %s of call %s could not be stopped: %s", self.view.provider, stream, self.id, error)

    async def _start(self, command: StartMedia, port: MediaPort | None) -> MediaStream:
        try:
            served = await self._perform(command)
            stream = self.view.started_by(served) if isinstance(served, StartMedia) else None
            if stream is None:
                raise OutcomeUnknown(
                    f"StartMedia: no {command.modality} stream is known, although the provider confirmed it", served
                )
        except BaseException:
            # Nobody will come for what the provider may still connect.
            if port is not None:
                port.close()
            raise
        started = MediaStream(self, stream.id)
        if port is not None:
            self._gate.follow(port, started.ended)
        return started

    async def stop(
        self,
        *modalities: Modality,
        reason: TerminationReason = _NORMAL,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> StopResult:
        """Stop every live stream of these modalities, in one request where the provider can, and nothing else.

        The call is not hung up. If the provider ends it because no media is left, that is an event, and the result says
        so. Stopping what has stopped succeeds and sends nothing. Raises `Unsupported` where the provider cannot stop
        that modality, `Refused` where it says no, `NotPossibleNow` where the state forbids it, `OutcomeUnknown` where
        no fact came in time.
        """
        if not modalities:
            raise ValueError("name the modalities to stop, for example Modality.AUDIO")
        modalities = tuple(modality_named(modality) for modality in modalities)
        wanted = tuple(s for s in self.streams if s.view.live and s.modality in modalities)
        if not wanted:
            self._dispatch.refuse_unsupported_stop(modalities)
        return await self.stop_streams(wanted, reason=reason, note=note, native=native)

    async def stop_streams(
        self,
        streams: tuple[MediaStream, ...],
        *,
        reason: TerminationReason = _NORMAL,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> StopResult:
        """Stop exactly these streams of this call. Raises as `stop`."""
        reason = reason_named(reason)
        live = tuple(stream for stream in streams if stream.view.live)
        if not live:
            return StopResult(streams=streams, call_ended=self.view.state is CallState.ENDED, confirmed_by=None)
        ids = {stream.id for stream in live}
        command = StopMedia(
            id=new_id(),
            call=self.id,
            ref=self.native_id,
            reason=reason,
            note=note,
            streams=tuple(stream.view.target for stream in live),
            keep=tuple(s.target for s in self.view.live_streams if s.id not in ids),
            native=native or {},
        )
        await self._perform(command)
        confirmed = next((stream.view.confirmed_by for stream in live), None) or self.view.confirmed_by
        ended = self._call_ended()
        if ended is None and await self._dispatch.look(self._record):
            # No media is left: whether the call outlives that is the provider's to say.
            ended = self.view.state is CallState.ENDED
        return StopResult(streams=streams, call_ended=ended, confirmed_by=confirmed)

    async def hold(self) -> None:
        """Put the far end on hold; return when it is. Holding what is held sends nothing."""
        await self._perform(Hold(id=new_id(), call=self.id, ref=self.native_id))

    async def resume(self) -> None:
        """Take the far end back from hold; return when it is back."""
        await self._perform(Resume(id=new_id(), call=self.id, ref=self.native_id))

    async def mute(self) -> None:
        """Let the far end hear nothing of this side; return when it is so. Muting what is muted sends nothing."""
        await self._perform(Mute(id=new_id(), call=self.id, ref=self.native_id))

    async def unmute(self) -> None:
        """Let the far end hear this side again; return when it does."""
        await self._perform(Unmute(id=new_id(), call=self.id, ref=self.native_id))

    async def say(
        self,
        text: str,
        *,
        language: str | None = None,
        voice: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> None:
        """Let the provider speak a text to the far end; return when it has been said to its end.

        Where the provider does not tell of that (its support note says so), return when it has accepted the text.
        A later `say`, `play` or `send_digits` takes its place, and then this raises `NotPossibleNow`, as it does when
        the call ends. `language` is a BCP 47 tag such as `en-US`; `voice` is the provider's own word.
        """
        if not text.strip():
            raise ValueError("there is nothing to say: the text is empty")
        await self._perform(
            Say(
                id=new_id(),
                call=self.id,
                ref=self.native_id,
                text=text,
                language=language,
                voice=voice,
                native=native or {},
            )
        )

    async def play(self, url: str, *, times: int = 1, native: Mapping[str, object] | None = None) -> None:
        """Let the provider fetch a sound file and play it to the far end; return when it has been played to its end.

        The provider must be able to reach the address. Otherwise as `say`. Sounds of the application's own are played
        through `call.audio(direction="both")`.
        """
        if not url.strip() or times < 1:
            raise ValueError(f"cannot play {url!r} {times} times: give an address, and 1 or more")
        await self._perform(
            Play(id=new_id(), call=self.id, ref=self.native_id, url=url, times=times, native=native or {})
        )

    async def transfer(
        self,
        to: str,
        *,
        caller_id: str | None = None,
        ring_timeout: float | None = None,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> None:
        """Connect the far end with somebody else and step out; return when they are connected.

        The call is released then: it lives on without this side, and ends as TRANSFERRED. Where nobody takes it, this
        raises `Refused` with the `termination` of the attempt, and the call is the application's as before. Where the
        provider does not tell (its support note says so), return when it has accepted the transfer. `ring_timeout` is
        in seconds.
        """
        await self._perform(
            Transfer(
                id=new_id(),
                call=self.id,
                ref=self.native_id,
                to=to,
                caller_id=caller_id,
                ring_timeout=ring_timeout,
                reason=TerminationReason.TRANSFERRED,
                note=note,
                native=native or {},
            )
        )
        self._record.released = True

    async def record(
        self,
        *,
        channels: Channels | Literal["mixed", "separate"] = Channels.MIXED,
        native: Mapping[str, object] | None = None,
    ) -> Recording:
        """Let the provider record the call; return when it does. The recording goes on until it is stopped or the call
        ends, and its file is ready some time after that: `await recording.completed()`.

        `record_to` records on this side instead, where the provider sends its audio.
        """
        command = StartRecording(
            id=new_id(), call=self.id, ref=self.native_id, channels=Channels(channels), native=native or {}
        )
        await self._perform(command)
        return Recording(self._record, self._dispatch, command.id)

    async def send_digits(self, digits: str) -> None:
        """Send DTMF digits; return when the provider has sent them or, where it does not tell, has accepted them.

        That they were heard is not guaranteed.
        """
        if not digits or set(digits) - set("0123456789*#ABCDabcdwW"):
            raise ValueError(f"{digits!r} has characters that are no digits; allowed are 0-9 * # A-D and w for a pause")
        await self._perform(SendDigits(id=new_id(), call=self.id, ref=self.native_id, digits=digits))

    async def hangup(
        self,
        *,
        after: Playback | None = None,
        reason: TerminationReason = _NORMAL,
        note: str | None = None,
        native: Mapping[str, object] | None = None,
    ) -> None:
        """End the call; return when it is a fact that it has ended. Safe to call twice, and by two at once.

        With `after`, a playback is first heard to its end, or cut off by whatever else ends it.
        """
        reason = reason_named(reason)
        if after is not None:
            await after.silent()
        command = HangUp(id=new_id(), call=self.id, ref=self.native_id, reason=reason, note=note, native=native or {})
        await self._perform(command)

    def release(self) -> None:
        """Let the call live on: leaving `async with`, or closing the bridge, no longer hangs it up.

        A provider may still end its calls when the bridge signs out; UCWA does.
        """
        self._record.released = True

    async def _perform(self, command: Command) -> Command:
        return await self._dispatch.perform(self._record, command)

    def _call_ended(self) -> bool | None:
        if self.view.state is CallState.ENDED:
            return True
        return False if self.view.live_streams else None
