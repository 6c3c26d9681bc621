"""From commands to wire requests, along the links that the newest snapshots offer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from telco_bridge.provider import (
    Answer,
    Command,
    Dial,
    HangUp,
    Hold,
    MediaDirection,
    Modality,
    Mute,
    Refused,
    Reject,
    Resume,
    StartMedia,
    StopMedia,
    TooLate,
    Unmute,
    Unsupported,
)

from .inputs import LONGEST_ID, checked_inputs, checked_text
from .parties import address, comparable
from .reasons import decline_reason, termination_reason
from .resources import AUDIO, MESSAGING, PHONE, VIDEO, Operation, Purpose, Resources
from .wire import Resource, offer_id_in, sdp_link

__all__ = ["NotCached", "WireRequest", "encode"]

_OF_REVISION_2 = frozenset({"customContent"})

_START_RELS = {
    frozenset({Modality.AUDIO}): "startAudio",
    frozenset({Modality.VIDEO}): "startVideo",
    frozenset({Modality.AUDIO, Modality.VIDEO}): "startAudioVideo",
}
_SLOTS = {Modality.AUDIO: AUDIO, Modality.VIDEO: VIDEO}
_STOPS_WITHOUT_REASON = {PHONE: ("phoneAudio", "stopPhoneAudio"), MESSAGING: ("messaging", "stopMessaging")}
_STOP_RELS = {AUDIO: "stopAudio", VIDEO: "stopVideo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One request of the command channel: the link's name, and the operation where it makes an invitation.

    A body is either JSON or a session description, `sdp`.
    """

    what: str
    href: str
    method: str = "POST"
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, object] | None = None
    sdp: str | None = None
    operation: Operation | None = None

    @property
    def revision(self) -> int | None:
        """The least revision of the resource that knows the inputs, asked for only where an older one does not."""
        body = self.body or {}
        links = body.get("_links")
        names = {*body, *cast("Mapping[str, object]", links if isinstance(links, dict) else {})}
        return 2 if names & _OF_REVISION_2 else None


class NotCached(LookupError):
    """The conversation's resources are not known here; they have to be read before the command can be encoded."""


def encode(command: Command, resources: Resources, *, phone_number: str | None = None) -> tuple[WireRequest, ...]:
    """Return what is sent for the command, in order. `phone_number` is the user's own phone.

    Raises `Refused` for what UCWA would not take, `TooLate` where the link is not offered now, `Unsupported` for what
    UCWA cannot express, and `NotCached`.
    """
    if len(command.id) > LONGEST_ID:
        raise Refused(
            f"the id of {command.name} has {len(command.id)} characters; UCWA takes operation ids of {LONGEST_ID}",
            provider="ucwa",
        )
    _check(command)
    if command.ref is not None:
        # The call may have moved since the command was made.
        command = replace(command, ref=resources.current(command.ref))
    match command:
        case Dial():
            return (_dial(command, resources, phone_number),)
        case HangUp():
            return _hang_up(command, resources)
        case StartMedia():
            return (_start(command, resources, phone_number),)
        case StopMedia():
            return _stop(command, resources)
        case Hold() | Resume():
            rel = "holdPhoneAudio" if isinstance(command, Hold) else "resumePhoneAudio"
            return (WireRequest(what=rel, href=_link(_modality(command, resources, "phoneAudio"), rel, command)),)
        case Mute() | Unmute():
            return (_mute(command, resources),)
        case Answer():
            return (_answer(command, resources),)
        case Reject():
            return (_reject(command, resources),)
        case _:
            raise Unsupported(f"UCWA cannot do {command.name}")


def _check(command: Command) -> None:
    """Refuse what cannot be sent, and native words that would be dropped without a word.

    What makes an invitation has inputs of its own, which are checked with it.
    """
    taken: tuple[str, ...] = ()
    match command:
        case Dial(offer=str(offer)) | StartMedia(offer=str(offer)):
            checked_text("offer", offer)
            return
        case HangUp() | Reject():
            taken = ("reason",)
        case StopMedia():
            taken = ("reason", "reason_in")
        case Answer(sdp=sdp):
            if sdp is not None:
                checked_text("sdp", sdp)
        case _:
            return
    for name in command.native:
        if name not in taken:
            raise Refused(
                f"{command.name} takes no {name!r} as native; it takes {', '.join(taken) or 'nothing'}. "
                "Nothing was sent.",
                provider="ucwa",
            )


def _dial(command: Dial, resources: Resources, phone_number: str | None) -> WireRequest:
    to = address(command.to)
    _check_caller_id(command, resources, phone_number)
    native = dict(command.native)
    into = native.pop("conversation", None)
    if command.offer is None:
        if command.modalities != frozenset({Modality.AUDIO}):
            raise Unsupported("UCWA starts VoIP media only with an SDP offer; dial with offer=…")
        rel, slots = "startPhoneAudio", frozenset({PHONE})
    else:
        rel = _START_RELS.get(command.modalities, "")
        if not rel:
            raise Unsupported(f"UCWA has no call with {', '.join(sorted(command.modalities)) or 'no media'}")
        slots = frozenset(_SLOTS[modality] for modality in command.modalities)
    operation = Operation(id=command.id, purpose=Purpose.DIAL, slots=slots, to=to)
    if into is not None:
        rel = f"add{rel.removeprefix('start')}"
        return _dial_into(into, rel, _body(rel, command, native, to, phone_number), operation, resources)
    body = _body(rel, command, native, to, phone_number)
    communication = resources.only("communication")
    if communication is None:
        raise NotCached("communication")
    href = communication.link(rel)
    if href is None:
        raise Refused(
            f"the server does not offer {rel} to this user (a missing licence, policy or voice setting). "
            "Nothing was sent.",
            provider="ucwa",
        )
    return WireRequest(what=rel, href=href, body=body, operation=operation)


def _dial_into(
    ref: object, rel: str, body: Mapping[str, object], operation: Operation, resources: Resources
) -> WireRequest:
    """Call with the media of a conversation that is there already: a meeting, which has none of its own."""
    if not isinstance(ref, str):
        raise Refused(f"{ref!r} is no conversation; give `UcwaConversation.native`. Nothing was sent.", provider="ucwa")
    of = "phoneAudio" if rel == "addPhoneAudio" else "audioVideo"
    modality = resources.modality(ref, of)
    if modality is None:
        raise NotCached(of)
    href = modality.link(rel)
    if href is None:
        raise Refused(f"the conversation does not offer {rel} now. Nothing was sent.", provider="ucwa")
    return WireRequest(what=rel, href=href, body=body, operation=replace(operation, ref=ref))


def _check_caller_id(command: Dial, resources: Resources, phone_number: str | None) -> None:
    if command.caller_id is None:
        return
    me = resources.only("me")
    own = {phone_number, me.text("uri") if me is not None else None} - {None}
    if command.caller_id not in own and comparable(command.caller_id) not in {comparable(o) for o in own if o}:
        raise Unsupported("UCWA always calls as the signed-in user; leave caller_id out")


def _body(
    rel: str, command: Dial | StartMedia, native: Mapping[str, object], to: str, phone_number: str | None
) -> dict[str, object]:
    """Return what is asked of a link that makes an invitation, with the native options where they are good."""
    body = {**checked_inputs(rel, native), "operationId": command.id, "to": to}
    if command.offer is not None:
        links = cast("Mapping[str, object]", body.get("_links", {}))
        body.setdefault("sessionContext", command.id)
        return {**body, "_links": {**links, "mediaOffer": {"href": sdp_link(command.offer)}}}
    number = body.get("phoneNumber", phone_number)
    if isinstance(number, str):
        body["phoneNumber"] = address(number).removeprefix("tel:")
    return body


def _hang_up(command: HangUp, resources: Resources) -> tuple[WireRequest, ...]:
    """Leave the conversation, and decline for the call whoever would take the other party's place in it."""
    # Leaving a conversation carries no reason; a word that is none is refused all the same.
    termination_reason(command.reason, command.native)
    replacing = resources.replacing(command.ref) if command.ref is not None else None
    decline = replacing.link("decline") if replacing is not None else None
    declined = (WireRequest(what="decline", href=decline),) if decline is not None else ()
    if declined and command.ref is not None and resources.awaits_successor(command.ref):
        return declined
    return (_leave(command, resources), *declined)


def _leave(command: HangUp, resources: Resources) -> WireRequest:
    dialled = resources.invitation_by(command.call)
    pending = resources.pending(command.ref) if command.ref is not None else None
    for invitation in (dialled, pending):
        if invitation is None or not resources.is_pending(invitation):
            continue
        operation = resources.operation(invitation)
        cancel = invitation.link("cancel")
        if cancel is not None and (operation is None or operation.purpose is Purpose.DIAL):
            return WireRequest(what="cancel", href=cancel)
    if command.ref is not None:
        return WireRequest(what="conversation", method="DELETE", href=command.ref)
    raise NotCached(command.call)


def _mute(command: Mute | Unmute, resources: Resources) -> WireRequest:
    """In a conference the server mutes the user; in a call of two it offers nothing of the kind."""
    rel = "muteAudio" if isinstance(command, Mute) else "unmuteAudio"
    voice = resources.voice(_ref(command))
    if voice is None:
        raise NotCached("participantAudio")
    return WireRequest(what=rel, href=_link(voice, rel, command))


def _answer(command: Answer, resources: Resources) -> WireRequest:
    """Take a call with the application's own media, or have it answered on the user's phone."""
    ref = _ref(command)
    pending = resources.pending(ref)
    if pending is None and resources.get(ref) is None:
        raise NotCached(ref)
    if pending is not None and pending.rel == "phoneAudioInvitation":
        raise Refused(
            "this call rings the user's own phone, and UCWA documents that it is answered there. Nothing was sent.",
            provider="ucwa",
        )
    rel, other = "acceptWithAnswer", "acceptWithPhoneAudio"
    if command.sdp is None:
        rel, other = other, rel
    if pending is not None and pending.link(rel) is None and pending.link(other) is not None:
        how = "give an SDP answer" if command.sdp is None else "leave sdp out to have it answered on the user's phone"
        raise Refused(f"the server does not offer {rel} for this call; {how}. Nothing was sent.", provider="ucwa")
    href = _link(pending, rel, command)
    if command.sdp is None:
        return WireRequest(what=rel, href=href)
    offer_id = offer_id_in(pending.data("mediaOffer")) if pending is not None else None
    processed = (("processedOfferId", offer_id),) if offer_id is not None else ()
    return WireRequest(what=rel, href=href, query=(("sessionContext", command.id), *processed), sdp=command.sdp)


def _reject(command: Reject, resources: Resources) -> WireRequest:
    ref = _ref(command)
    reason = decline_reason(command.reason, command.native)
    pending = resources.pending(ref)
    if pending is None and resources.get(ref) is None:
        raise NotCached(ref)
    body = {"reason": reason} if reason is not None else None
    return WireRequest(what="decline", href=_link(pending, "decline", command), body=body)


def _start(command: StartMedia, resources: Resources, phone_number: str | None) -> WireRequest:
    if command.to is not None or command.direction not in (None, MediaDirection.BOTH):
        raise Unsupported("UCWA media goes both ways between the two parties; it cannot be copied or sent one way")
    if command.modality is Modality.MESSAGING:
        return _start_messaging(command, resources)
    if command.modality not in _SLOTS:
        raise Unsupported(f"this plugin cannot start {command.modality} on UCWA")
    ref = _ref(command)
    if command.offer is not None:
        slot = _SLOTS[command.modality]
        rel, of = f"add{slot.capitalize()}", "audioVideo"
    elif command.modality is Modality.AUDIO:
        slot, rel, of = PHONE, "addPhoneAudio", "phoneAudio"
    else:
        raise Unsupported("UCWA starts video only with an SDP offer; start with offer=…")
    href = _link(_modality(command, resources, of), rel, command)
    partner = command.native.get("to", resources.partner(ref))
    if not isinstance(partner, str):
        raise Refused(
            f"{rel} needs the other party's address, which this program has not seen; give it as native={{'to': …}}. "
            "Nothing was sent.",
            provider="ucwa",
        )
    operation = Operation(id=command.id, purpose=Purpose.START, slots=frozenset({slot}), to=partner, ref=ref)
    body = _body(rel, command, command.native, partner, phone_number)
    return WireRequest(what=rel, href=href, body=body, operation=operation)


def _start_messaging(command: StartMedia, resources: Resources) -> WireRequest:
    if command.offer is not None:
        raise Unsupported("messages need no SDP offer; leave offer out")
    ref, rel = _ref(command), "addMessaging"
    body = {**checked_inputs(rel, command.native), "operationId": command.id}
    href = _link(_modality(command, resources, "messaging"), rel, command)
    # UCWA documents no target: whoever is in the conversation is invited.
    operation = Operation(id=command.id, purpose=Purpose.START, slots=frozenset({MESSAGING}), to="", ref=ref)
    return WireRequest(what=rel, href=href, body=body, operation=operation)


def _stop(command: StopMedia, resources: Resources) -> tuple[WireRequest, ...]:
    slots = {stream.id.slot for stream in command.streams}
    unknown = slots - {PHONE, AUDIO, VIDEO, MESSAGING}
    if unknown:
        raise Unsupported(f"UCWA has no stream {', '.join(sorted(unknown))}")
    reason = termination_reason(command.reason, command.native)
    requests: list[WireRequest] = []
    if slots & {AUDIO, VIDEO}:
        requests += _stop_voip(command, slots & {AUDIO, VIDEO}, reason, resources)
    for slot, (of, rel) in _STOPS_WITHOUT_REASON.items():
        if slot in slots:
            href = _modality(command, resources, of).link(rel)
            plain = WireRequest(what=rel, href=href) if href is not None else _withdraw(command, {slot}, resources)
            requests.append(plain or _late(command, rel))
    return tuple(requests)


def _stop_voip(command: StopMedia, slots: set[str], reason: str | None, resources: Resources) -> list[WireRequest]:
    """One request where one suffices; the wide verb only where nothing else would end with it."""
    modality = _modality(command, resources, "audioVideo")
    in_body = _reason_in_body(command)
    query = (("reason", reason),) if reason is not None and not in_body else ()
    body = {"reason": reason} if reason is not None and in_body else None

    def stop(rel: str) -> WireRequest | None:
        href = modality.link(rel)
        return WireRequest(what=rel, href=href, query=query, body=body) if href is not None else None

    narrow = [request for slot in sorted(slots) if (request := stop(_STOP_RELS[slot])) is not None]
    wide = stop("stopAudioVideo") if _may_stop_both(command, slots, resources) else None
    if wide is not None and (len(slots) == 2 or not narrow):
        return [wide]
    if len(narrow) == len(slots):
        return narrow
    withdrawn = _withdraw(command, slots, resources)
    return [withdrawn if withdrawn is not None else _late(command, " and ".join(_STOP_RELS[s] for s in sorted(slots)))]


def _reason_in_body(command: StopMedia) -> bool:
    """UCWA documents the reason of a stop for the query and for the body, and servers may know only one of them."""
    where = command.native.get("reason_in", "query")
    if where not in ("query", "body"):
        raise Refused(f"reason_in is query or body, not {where!r}. Nothing was sent.", provider="ucwa")
    return where == "body"


def _may_stop_both(command: StopMedia, slots: set[str], resources: Resources) -> bool:
    others = {AUDIO, VIDEO} - slots
    if any(stream.id.slot in others for stream in command.keep):
        return False
    # A stream that the conversation calls active lives, even if nobody has told of it yet.
    active = resources.active(_ref(command)) or frozenset[str]()
    return not (VIDEO in others and "Video" in active)


def _withdraw(command: StopMedia, slots: set[str], resources: Resources) -> WireRequest | None:
    """Media that has only been offered to a call is stopped by cancelling the offer."""
    pending = resources.pending(_ref(command), min(slots))
    operation = resources.operation(pending) if pending is not None else None
    if pending is None or operation is None or operation.purpose is not Purpose.START or not operation.slots <= slots:
        return None
    href = pending.link("cancel")
    return WireRequest(what="cancel", href=href) if href is not None else None


def _ref(command: Command) -> str:
    if command.ref is None:
        raise TooLate(f"{command.name}: the call has no conversation yet", provider="ucwa")
    return command.ref


def _modality(command: Command, resources: Resources, rel: str) -> Resource:
    modality = resources.modality(_ref(command), rel)
    if modality is None:
        raise NotCached(rel)
    return modality


def _link(resource: Resource | None, rel: str, command: Command) -> str:
    href = resource.link(rel) if resource is not None else None
    return href if href is not None else _late(command, rel).href


def _late(command: Command, rel: str) -> WireRequest:
    raise TooLate(f"{command.name}: the server does not offer {rel} now", provider="ucwa")
