"""The audio of a simulated call, brought to the application without any wire in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..audio.formats import AudioFormat, Encoding
from ..audio.wire import (
    Clear,
    MediaEndpoint,
    MediaHeard,
    MediaOpened,
    MediaOrder,
    MediaStopped,
    PlayAudio,
    PlayMark,
    PressDigit,
    ReachedMark,
    RemoteDigit,
    Track,
)
from ..media import MediaDirection, Modality, StreamState, Transport
from ..reports import StreamReport
from .exchange import LegState
from .faults import Fault
from .playout import Playout, Speaker, Tap

if TYPE_CHECKING:
    from ..audio.port import MediaPort
    from ..clock import Clock
    from .exchange import Exchange, Leg

__all__ = ["AudioLine"]

FRAME_SECONDS = 0.02


class AudioLine:
    """One stream between a leg and a port of the bridge's. Used in the bridge's event loop, but for `over`."""

    marks = True

    def __init__(
        self,
        *,
        exchange: Exchange,
        leg: Leg,
        port: MediaPort,
        endpoint: MediaEndpoint,
        command_id: str,
        speaker: Speaker,
    ) -> None:
        self.slot = f"audio {endpoint.id}"
        self.leg = leg
        self.command_id = command_id
        self.over = False
        self.direction = endpoint.direction
        self._exchange = exchange
        self._port = port
        self._format = AudioFormat(Encoding.PCM16, endpoint.format.rate)
        self._speaker = speaker
        self._playout = Playout(rate=self._format.rate, now=exchange.media_now, heard=self._hear, speaker=speaker)

    @property
    def report(self) -> StreamReport:
        """What there is to say of the stream."""
        return StreamReport(
            slot=self.slot,
            command_id=self.command_id,
            modality=Modality.AUDIO,
            transport=Transport.VOIP,
            direction=self.direction,
            state=StreamState.ENDED if self.over else StreamState.ACTIVE,
        )

    async def run(self, clock: Clock) -> None:
        """Bring what the far end says, twenty milliseconds at a time, until the stream is over."""
        rate = self._format.rate
        self._port.attach(self, transport=Transport.VOIP)
        self._port.receive(MediaOpened(self._format, self.slot))
        began, due = self._exchange.media_now(), clock.now()
        copy = Tap(self._speaker, began=began, rate=rate)
        if self.direction is MediaDirection.BOTH:
            self._speaker.playouts.append(self._playout)
        else:
            self._speaker.taps.append(copy)
        try:
            await self._flow(clock, began, due, copy)
        finally:
            if self.direction is MediaDirection.BOTH:
                self._speaker.playouts.remove(self._playout)
            else:
                self._speaker.taps.remove(copy)
            self.stop()

    async def _flow(self, clock: Clock, began: float, due: float, copy: Tap) -> None:
        samples = round(self._format.rate * FRAME_SECONDS)
        number = 0
        while not self.over and self.leg.state is not LegState.DOWN:
            due += FRAME_SECONDS
            await clock.sleep_until(due)
            if self._exchange.faults.take(Fault.DROP_STREAM, "media") is not None:
                self.over = True
                self._port.close("the simulated connection broke")
                return
            if self._port.full:
                self._port.intake.blocked += 1
                while self._port.full and not self.over:
                    await clock.sleep_until(clock.now() + FRAME_SECONDS)
            start, at = number * samples, number * 20
            number += 1
            facts = [MediaHeard(self._said(began, start, samples), Track.INBOUND, at, number)]
            if self.direction is not MediaDirection.BOTH:
                facts.append(MediaHeard(copy.pcm(start, samples), Track.OUTBOUND, at, number))
            self._port.receive(*facts, *map(ReachedMark, self._playout.reached()))

    def hear_digit(self, digit: str) -> None:
        """The far end has pressed a key."""
        self._port.receive(RemoteDigit(digit))

    def stop(self) -> None:
        """The stream is over; the call goes on."""
        self.over = True
        self._port.receive(MediaStopped("stopped"))

    def send(self, order: MediaOrder) -> bool:
        match order:
            case PlayAudio():
                self._playout.add(order.payload)
            case PlayMark():
                self._playout.mark(order.name)
            case Clear():
                self._playout.clear()
            case PressDigit():
                self.leg.press(order.digit, by=self.leg.ours)
        return True

    def close(self) -> None:
        self.over = True

    def _said(self, began: float, start: int, samples: int) -> bytes:
        leg = self.leg
        if leg.held or Modality.AUDIO not in leg.media:
            return bytes(2 * samples)
        return leg.speech(began, start, samples, rate=self._format.rate)

    def _hear(self, pcm: bytes, at: float) -> None:
        if Modality.AUDIO in self.leg.media:
            self.leg.play(pcm, rate=self._format.rate, at=at)
