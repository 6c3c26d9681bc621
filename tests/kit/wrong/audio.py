"""Providers that are wrong about audio in the application's hands."""

from __future__ import annotations

from telco_bridge.provider import Clear, Command, MediaEndpoint, MediaOrder, PlayAudio, StartMedia, StopMedia
from telco_bridge.sandbox import SILENCE, Leg
from telco_bridge.sandbox.lines import AudioLine

from ..line import Line
from .table import breaks


@breaks("test_what_the_far_end_says_reaches_the_application")
class HearsNothing(Line):
    """Whatever the far end says, silence comes to the application."""

    def _open_line(self, command: StartMedia, endpoint: MediaEndpoint, leg: Leg) -> None:
        leg.voice = SILENCE
        super()._open_line(command, endpoint, leg)


@breaks("test_leaving_the_audio_leaves_the_call_alone")
class StopsAllAudioAtOnce(Line):
    """To stop the audio that comes to the application it stops all audio of the call."""

    def _do(self, command: Command) -> None:
        to_us = isinstance(command, StopMedia) and any(s.id.slot.startswith("audio ") for s in command.streams)
        super()._do(command)
        if to_us:
            leg = self._legs[command.ref or ""]
            leg.set_media(frozenset())


@breaks("test_audio_that_breaks_ends_its_stream_and_never_the_call")
class HangsUpWithTheAudio(Line):
    """When the way of the audio breaks, it hangs up."""

    async def _carry_audio(self, line: AudioLine) -> None:
        await super()._carry_audio(line)
        if line._port.lost is not None:
            line.leg.hang_up(by=line.leg.ours)


@breaks("test_what_is_played_is_heard_to_its_end")
class PlaysHalf(Line):
    """Of what the application plays, the far end hears the first tenth of a second."""

    def _open_line(self, command: StartMedia, endpoint: MediaEndpoint, leg: Leg) -> None:
        super()._open_line(command, endpoint, leg)
        line, said = self._lines[-1], 0
        send = line.send

        def send_a_little(order: MediaOrder) -> bool:
            nonlocal said
            said += isinstance(order, PlayAudio)
            return True if isinstance(order, PlayAudio) and 5 < said <= 10 else send(order)

        line.send = send_a_little


@breaks("test_what_is_cut_off_is_heard_no_more")
class NeverCutsOff(Line):
    """What it has been given to play, it plays."""

    def _open_line(self, command: StartMedia, endpoint: MediaEndpoint, leg: Leg) -> None:
        super()._open_line(command, endpoint, leg)
        line = self._lines[-1]
        send = line.send
        line.send = lambda order: True if isinstance(order, Clear) else send(order)
