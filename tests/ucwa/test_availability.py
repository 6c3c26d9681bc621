"""Where calls ring, what others see, and users whom the server knows and gives nothing."""

from __future__ import annotations

import json

import httpx
import pytest
from pydantic import ValidationError

from telco_bridge.provider import AuthenticationFailed
from telco_bridge_ucwa.config import UcwaConfig

from .test_session import problem, signed_in, with_answers


def asked(server):
    return [json.loads(request.content) for request in server.requests if request.url.path == "/app/available"]


async def test_calls_ring_where_the_settings_say():
    server = with_answers({"POST /app/available": httpx.Response(204)})
    settings = {"audio_preference": "PhoneAudio", "supported_modalities": ["PhoneAudio"], "sign_in_as": "Busy"}

    async with signed_in(server, available=True, **settings):
        pass

    expected = {"audioPreference": "PhoneAudio", "supportedModalities": ["PhoneAudio"], "signInAs": "Busy"}
    assert asked(server) == [expected]


@pytest.mark.parametrize("modalities", [["Audio"], ["Messaging", "PhoneAudio"]])
async def test_nothing_is_taken_that_the_settings_leave_out(modalities):
    server = with_answers({"POST /app/available": problem(403)})
    preference = "PhoneAudio" if "PhoneAudio" in modalities else "VoipAudio"

    with pytest.raises(AuthenticationFailed, match="makeMeAvailable"):
        async with signed_in(server, available=True, supported_modalities=modalities, audio_preference=preference):
            pass

    assert [body["supportedModalities"] for body in asked(server)] == [modalities]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(403), "ada.*policy allows no mobile"),
        (problem(403), "ada.*policy allows no mobile"),
        (problem(403, "AnonymousNotAllowed"), "AnonymousNotAllowed.*guest"),
    ],
)
async def test_a_user_who_gets_no_application_is_told_what_it_may_mean(answer, words):
    with pytest.raises(AuthenticationFailed, match=words):
        async with signed_in(with_answers({"POST /apps": answer})):
            pass


@pytest.mark.parametrize(
    "settings",
    [
        {"supported_modalities": ["PhoneAudio"]},
        {"audio_preference": "PhoneAudio", "supported_modalities": ["Audio", "Video"]},
        {"supported_modalities": []},
        {"supported_modalities": ["Telepathy"]},
        {"sign_in_as": "Invisible"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings):
    entry = {"application_url": "https://pool.example.org/a", "username": "ada", "password": "s3cret"}

    with pytest.raises(ValidationError):
        UcwaConfig.model_validate(entry | settings)
