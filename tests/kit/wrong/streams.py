"""Providers that are wrong about media."""

from __future__ import annotations

from dataclasses import replace

from telco_bridge.provider import CallReport, Command, Gone, Modality, NotSent, Refused, StartMedia, StopMedia
from telco_bridge.sandbox import Leg

from ..line import Line
from .table import breaks, describes


@breaks("test_audio_that_is_stopped_has_ended_with_our_reason")
class RefusesNotes(Line):
    """A stop with a note is refused, because there is nowhere to write it."""

    async def execute(self, command: Command) -> None:
        if isinstance(command, StopMedia) and command.note is not None:
            raise Refused("StopMedia: there is no field for a note")
        await super().execute(command)


@breaks("test_stopping_audio_does_not_hang_up")
class HangsUpAfterStopping(Line):
    """When the last of its media has stopped, it hangs up."""

    def _do(self, command: Command) -> None:
        super()._do(command)
        if isinstance(command, StopMedia) and not command.keep:
            leg = self._legs[command.ref or ""]
            leg.hang_up(by=leg.ours)


@breaks("test_stopping_what_has_stopped_sends_nothing")
class WantsEveryStopTwice(Line):
    """The first stop of audio only warms up; the bridge is told to ask again."""

    _warm: frozenset[str | None] = frozenset()

    async def execute(self, command: Command) -> None:
        of_audio = isinstance(command, StopMedia) and command.modalities == {Modality.AUDIO}
        if of_audio and command.ref not in self._warm:
            self._warm |= {command.ref}
            raise NotSent("StopMedia: not yet warm")
        await super().execute(command)


@breaks("test_audio_that_is_started_again_is_another_stream")
@describes
def restarts_under_the_old_identity(told: CallReport, leg: Leg) -> CallReport:
    """Every life of a stream bears the number of the first."""
    return replace(told, streams=tuple(replace(stream, life=1) for stream in told.streams))


@breaks("test_a_stream_that_nobody_stopped_goes_on")
class EndsStreamsBySilence(Line):
    """A read says that it tells of every stream, and tells of none."""

    async def read(self, ref: str) -> CallReport | Gone:
        told = await super().read(ref)
        return replace(told, streams=()) if isinstance(told, CallReport) else told


@breaks("test_stopping_one_modality_keeps_the_other")
class StopsAllWithTheAudio(Line):
    """It has one word for stopping audio, which stops everything."""

    def _do(self, command: Command) -> None:
        super()._do(command)
        of_the_call = isinstance(command, StopMedia) and any(s.id.slot == Modality.AUDIO for s in command.streams)
        if of_the_call:
            self._legs[command.ref or ""].set_media(frozenset())


@breaks("test_both_can_be_stopped_at_once")
class StopsOneOfSeveral(Line):
    """Of several streams it stops the first."""

    def _do(self, command: Command) -> None:
        super()._do(replace(command, streams=command.streams[:1]) if isinstance(command, StopMedia) else command)


@breaks("test_media_beside_the_audio_can_be_started_and_stopped")
class SwitchesToWhatIsStarted(Line):
    """A call has one kind of media at a time: what is started takes the place of the rest."""

    def _do(self, command: Command) -> None:
        if isinstance(command, StartMedia) and command.endpoint is None:
            self._legs[command.ref or ""].set_media(frozenset({command.modality}))
        else:
            super()._do(command)


@breaks("test_the_reason_of_a_stop_travels")
class KeepsTheReasonToItself(Line):
    """A stop is sent without its reason."""

    def _do(self, command: Command) -> None:
        super()._do(replace(command, reason=None) if isinstance(command, StopMedia) else command)
