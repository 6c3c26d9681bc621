"""The operations on calls and streams."""

from __future__ import annotations

from dataclasses import replace

from .calls import Call, CallStatus
from .errors import ApiError
from .filters import pass_dates
from .forms import Form
from .operations import Asked, Reply
from .orders import call_order, script, status_webhook
from .paging import cut_page
from .recorder import Recorder
from .recording_orders import call_recording
from .space import Space
from .stream_orders import rest_stream
from .streams import Stream, Streams, StreamStatus
from .switchboard import Switchboard

__all__ = ["CallOperations", "StreamOperations"]


class CallOperations:
    """`Calls` and `Calls/{sid}`."""

    def __init__(self, space: Space, board: Switchboard, recorder: Recorder) -> None:
        self._space = space
        self._board = board
        self._recorder = recorder

    def create(self, asked: Asked) -> Reply:
        """Queue a call. SignalWire answers 200 where Twilio answers 201."""
        order, recording = call_order(asked.form, self._space), call_recording(asked.form)
        call = self._board.create(order)
        if recording is not None:
            self._recorder.expect(call, recording)
        return Reply(body=call.resource(self._space), lane=call.lane)

    def list(self, asked: Asked) -> Reply:
        """List calls, newest first."""
        chosen = [call for call in self._board.calls.values() if _matches(call, asked.form)]
        page, envelope = cut_page(chosen, asked.form, self._space.uri("Calls.json"))
        return Reply(body={**envelope, "calls": [call.resource(self._space) for call in page]})

    def read(self, asked: Asked) -> Reply:
        """Show one call."""
        return Reply(body=self.find(asked).resource(self._space))

    def update(self, asked: Asked) -> Reply:
        """Cancel, complete or redirect a call, or tell somebody else of its progress."""
        call = self.find(asked)
        form = asked.form
        if call.over:
            raise ApiError(10000, "Completed calls cannot be updated.")
        wanted = form.get("Status")
        if wanted not in (None, "canceled", "completed"):
            raise ApiError(10000, "Status is invalid")
        if wanted == "canceled" and call.status is CallStatus.IN_PROGRESS:
            raise ApiError(10000, "Cannot cancel an in-progress call.")
        document = script(form, self._space)
        if document is not None and wanted is None and call.status is not CallStatus.IN_PROGRESS:
            raise ApiError(21220)
        callback = status_webhook(form)

        before, attempts = call.resource(self._space), call.lane.attempts
        if callback is not None:
            call.subscription = replace(call.subscription, webhook=callback, of_number=False)
        if wanted == "canceled":
            self._board.cancel(call)
        elif wanted == "completed":
            self._board.complete(call)
        elif document is not None:
            self._board.redirect(call, document)
        return Reply(body=call.resource(self._space), before=before, lane=call.lane, attempts=attempts)

    def delete(self, asked: Asked) -> Reply:
        """Remove the record of a finished call. It is no hang-up."""
        call = self.find(asked)
        if not call.over:
            raise ApiError(20009)
        del self._board.calls[call.sid]
        return Reply(status=204)

    def find(self, asked: Asked) -> Call:
        """Return the call that the path names. Raises `ApiError`."""
        call = self._board.calls.get(asked.path["call"])
        if call is None:
            raise ApiError(20404)
        return call


class StreamOperations:
    """`Calls/{sid}/Streams` and `Calls/{sid}/Streams/{sid}`. There are two, and neither reads."""

    def __init__(self, space: Space, calls: CallOperations, streams: Streams) -> None:
        self._space = space
        self._calls = calls
        self._streams = streams

    def create(self, asked: Asked) -> Reply:
        """Order a stream. The answer says nothing of whether the WebSocket opened."""
        call = self._calls.find(asked)
        order = rest_stream(asked.form, self._space)
        if call.status is not CallStatus.IN_PROGRESS:
            raise ApiError(21220, "The stream cannot be started in the current call state")
        if order.name is not None and self._streams.taken(call, order.name):
            raise ApiError(10000, "Name has already been taken")
        stream = self._streams.start(call, order)
        return Reply(body=stream.resource(self._space), lane=stream.lane)

    def stop(self, asked: Asked) -> Reply:
        """Stop a stream, named by its SID or else by its name. The call goes on."""
        stream = self._find(asked)
        wanted = asked.form.get("Status")
        if not wanted:
            raise ApiError(10000, "Status is required")
        if wanted != StreamStatus.STOPPED:
            raise ApiError(10000, "Status is invalid")
        if stream.status is StreamStatus.STOPPED:
            raise ApiError(self._space.switches.stopped_stream)
        if stream.order.two_way and not self._space.switches.stoppable_two_way_streams:
            raise ApiError(21220, "A bidirectional stream cannot be stopped")
        before, attempts = stream.resource(self._space), stream.lane.attempts
        self._streams.stop(stream)
        return Reply(body=stream.resource(self._space), before=before, lane=stream.lane, attempts=attempts)

    def _find(self, asked: Asked) -> Stream:
        stream = self._streams.find(self._calls.find(asked), asked.path["stream"])
        if stream is None:
            raise ApiError(20404)
        return stream


def _matches(call: Call, form: Form) -> bool:
    """Whether the call passes every filter of the form. A blank filter filters nothing."""
    plain = {"Status": call.status.value, "To": call.to, "From": call.from_, "ParentCallSid": call.parent or ""}
    for name, value in plain.items():
        wanted = form.get(name)
        if wanted and wanted != value:
            return False
    return pass_dates(form, {"StartTime": call.started, "EndTime": call.ended})
