"""What the author of a plugin is told about a mistake: what is wrong, where, and what to do."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from telco_bridge import Bridge, Call, Capability, PluginContractError, connect
from telco_bridge._discovery import check, installed, load
from telco_bridge.provider import (
    CallList,
    CallReport,
    Cause,
    CommandFailed,
    Dial,
    DigitHeard,
    Gap,
    HangUp,
    Host,
    ProviderPlugin,
    ProviderSession,
    ReasonRow,
    RemoteOffer,
    Source,
    Support,
    SupportLevel,
    TerminationReason,
)
from telco_bridge.sandbox import SteppedClock

from .conftest import TO, Opening, Script, ScriptedConfig

FORBID = ConfigDict(extra="forbid")


def complaint(**wrong: object) -> str:
    """What is said of a plugin with these mistakes."""
    with pytest.raises(PluginContractError) as caught:
        check(replace(Script().plugin, **wrong), name=None, origin="the plugin")  # type: ignore[arg-type]
    return str(caught.value)


# The plugin


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "", "has the name '': write a word of letters, digits, - and _, which fits into TOML and URLs"),
        ("name", "my phones", "has the name 'my phones': write a word"),
        ("name", "acme/eu", "has the name 'acme/eu': write a word"),
        ("name", None, "has the name None: write a word"),
        ("config_model", None, "has None as config_model: give a class derived from pydantic.BaseModel"),
        ("config_model", dict, "has the class dict as config_model: give a class derived from pydantic.BaseModel"),
        ("config_model", ScriptedConfig(), "has a ScriptedConfig as config_model: give a class"),
        ("support", None, "has None as support: give a mapping of Capability to Support"),
        ("support", {"dail": Support(SupportLevel.FULL)}, "supports 'dail', which is no Capability: write Capability."),
        ("support", {Capability.DIAL: True}, "has a bool as its support of dial: write Support(SupportLevel.FULL)"),
        ("support", {Capability.DIAL: Support("full")}, "supports dial at the level 'full': write SupportLevel.FULL"),  # type: ignore[arg-type]
        ("explain", None, "has None as explain: give a function"),
        ("possible", frozenset(), "has a frozenset as possible: give a function"),
        ("together", (), "has a tuple as together: give a function that takes a CallView, or None"),
        ("connect", "acme", "has a str as connect: give a function"),
        ("emulator", "acme", "has a str as emulator: give a function that takes an Exchange, or None"),
        ("reasons", None, "has None as reasons: give a tuple of ReasonRow"),
        ("reasons", iter(()), "has a tuple_iterator as reasons: give a tuple of ReasonRow"),
        ("reasons", ("busy",), "has a str among its reasons: give ReasonRows only"),
    ],
)
def test_a_field_of_the_wrong_shape_is_told_with_what_to_write(field: str, value: object, sentence: str) -> None:
    assert f"the plugin {sentence}" in complaint(**{field: value})


def test_all_mistakes_are_told_at_once() -> None:
    said = complaint(name="", explain=None, emulator=3)

    assert said.count("; ") == 2
    assert "the name ''" in said
    assert "as explain" in said
    assert "as emulator" in said


def test_another_contract_is_told_alone_because_its_fields_may_be_others() -> None:
    said = complaint(contract=2, explain=None)

    assert said.startswith("the plugin keeps contract 2; this telco_bridge keeps contract 1. Install")
    assert "explain" not in said


def test_a_plugin_without_mistakes_is_returned() -> None:
    row = ReasonRow("words", "busy", TerminationReason.BUSY, cause=Cause(dialect="words", code="busy"))
    plugin = replace(Script().plugin, reasons=[row])

    assert check(plugin, name="scripted", origin="the plugin") is plugin


@pytest.mark.parametrize("name", ["simulator", "ucwa", "signalwire"])
def test_the_plugins_that_come_along_keep_the_contract(name: str) -> None:
    assert name in {found.name for found in installed()}
    assert load(name).name == name


def test_a_plugin_that_is_given_to_connect_is_looked_at_too() -> None:
    with pytest.raises(PluginContractError, match=r"^the given provider has None as explain: give a function$"):
        connect({"provider": replace(Script().plugin, explain=None)})  # type: ignore[arg-type]


# Settings


class Careless(BaseModel):
    """Takes whatever it is given."""


class Login(BaseModel):
    model_config = FORBID
    user: str = ""
    password: str = ""
    again: Login | None = None


class Nested(BaseModel):
    model_config = FORBID
    logins: list[Login] = []
    spare: dict[str, Login | None] = {}


Word = NewType("Word", str)


class Kind(StrEnum):
    JWT = "jwt"


def model_with(name: str, annotation: Any) -> type[BaseModel]:
    return type("Config", (BaseModel,), {"model_config": FORBID, "__annotations__": {name: annotation}})


def test_settings_that_are_not_known_must_not_be_taken_in_silence() -> None:
    assert 'give Careless a model_config = ConfigDict(extra="forbid")' in complaint(config_model=Careless)


@pytest.mark.parametrize(
    "name",
    [
        *("password", "user_password", "passphrase", "passwd", "client_secret", "token", "access_token", "credential"),
        *("credentials", "api_key", "previous_signing_key", "private_key", "secret_key", "access_key", "auth_key"),
        *("apiKey", "clientSecret", "PASSWORD"),
    ],
)
def test_a_secret_in_a_plain_str_is_told_with_its_name_and_the_remedy(name: str) -> None:
    said = complaint(config_model=model_with(name, str))

    assert f"keeps the setting {name} as a plain str" in said
    assert "make it a pydantic.SecretStr, or give it another name if it is none" in said


@pytest.mark.parametrize(
    "annotation",
    [
        *(str | None, Annotated[str, "a note"], Annotated[str | None, StringConstraints(min_length=1)]),
        *(tuple[str, ...], dict[str, str], SecretStr | str, Word, list[Word | None]),
    ],
)
def test_a_secret_is_found_in_every_annotation_that_lets_plain_text_through(annotation: Any) -> None:
    assert "the setting token" in complaint(config_model=model_with("token", annotation))


@pytest.mark.parametrize(
    ("name", "annotation"),
    [
        ("password", SecretStr),
        ("password", SecretStr | None),
        ("credentials", dict[str, SecretStr]),
        ("token", int),
        ("token", Literal["none"]),
        ("token", Kind),
        *((name, str) for name in ("token_url", "secret_name", "key", "sort_key", "passwordless", "keys", "tokens")),
        *((name, str) for name in ("tokenizer", "public_key", "monkey", "user_name", "author_key")),
    ],
)
def test_what_is_no_secret_or_is_kept_as_one_is_left_alone(name: str, annotation: Any) -> None:
    plugin = replace(Script().plugin, config_model=model_with(name, annotation))

    assert check(plugin, name=None, origin="the plugin")


def test_a_secret_in_a_nested_table_is_told_with_its_path_and_recursion_ends() -> None:
    said = complaint(config_model=Nested)

    assert "the setting logins.password as" in said
    assert "the setting spare.password as" in said


def test_a_secret_is_known_by_the_name_that_stands_in_the_file() -> None:
    class Aliased(BaseModel):
        model_config = FORBID
        key: str = Field(alias="apiKey")

    assert "the setting apiKey as" in complaint(config_model=Aliased)


@given(name=st.text(), annotation=st.sampled_from([str, SecretStr, None, "Later", list[object], Any, object()]))
def test_looking_for_secrets_is_total(name: str, annotation: object) -> None:
    from telco_bridge._discovery import _leaves, _says_secret

    assert _says_secret(name) in (True, False)
    assert list(_leaves(annotation))


# Connecting


class Interrupt(BaseException):
    """Like `KeyboardInterrupt`, which would take the test's own event loop down."""


class Unfinished(ProviderSession):
    """Forgets to read."""

    async def execute(self, command: object) -> None: ...


class Duck:
    """Looks like a session."""

    async def execute(self, command: object) -> None: ...


def plugin_that_connects(connecting: Any) -> ProviderPlugin[ScriptedConfig]:
    return replace(Script().plugin, connect=connecting)


async def failure_of(connecting: Any) -> PluginContractError:
    """What entering the bridge raises."""
    with pytest.raises(PluginContractError) as caught:
        async with connect({"provider": plugin_that_connects(connecting)}):
            pytest.fail("there is no session")
    return caught.value


def yielding(session: object) -> Any:
    @asynccontextmanager
    async def connecting(config: ScriptedConfig, host: Host) -> AsyncGenerator[object]:
        yield session

    return connecting


async def test_a_session_class_without_a_method_is_told_with_the_method() -> None:
    @asynccontextmanager
    async def connecting(config: ScriptedConfig, host: Host) -> AsyncGenerator[ProviderSession]:
        yield Unfinished()  # type: ignore[abstract]

    failure = await failure_of(connecting)

    assert str(failure) == "the session class Unfinished of scripted lacks read(), which every session must have"
    assert isinstance(failure.__cause__, TypeError)


@pytest.mark.parametrize(
    ("session", "sentence"),
    [
        (Duck(), "yielded a Duck, which is no ProviderSession and lacks read(): derive the session's class from"),
        (None, "yielded a NoneType, which is no ProviderSession and lacks execute() and read(): derive"),
        (Duck, "yielded a type, which is no ProviderSession"),
    ],
)
async def test_something_else_than_a_session_is_told_with_what_it_lacks(session: object, sentence: str) -> None:
    assert f"connect() of scripted {sentence}" in str(await failure_of(yielding(session)))


async def undecorated(config: ScriptedConfig, host: Host) -> AsyncGenerator[object]:
    yield None


async def coroutine(config: ScriptedConfig, host: Host) -> object:
    return None


@contextmanager
def synchronous(config: ScriptedConfig, host: Host) -> Any:
    yield None


@pytest.mark.parametrize(
    ("connecting", "kind"),
    [
        (undecorated, "async_generator"),
        (coroutine, "coroutine"),
        (synchronous, "_GeneratorContextManager"),
        (lambda config, host: None, "NoneType"),
    ],
)
async def test_a_connect_that_is_no_context_manager_is_told_how_to_become_one(connecting: Any, kind: str) -> None:
    assert str(await failure_of(connecting)) == (
        f"connect() of scripted returned a {kind}, not an async context manager: make it an `async def` that yields "
        "the session, under @contextlib.asynccontextmanager"
    )


async def test_a_connect_of_other_arguments_is_told() -> None:
    failure = await failure_of(lambda config: yielding(None))

    assert str(failure).startswith("scripted broke on connecting: TypeError: ")
    assert "takes 1 positional argument but 2 were given" in str(failure)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("bug", "words"),
    [(ValueError("no port"), "ValueError: no port"), (KeyError("x"), "KeyError: 'x'"), (OSError(), "OSError")],
)
async def test_an_exception_of_the_plugins_own_is_named_and_chained(
    opening: Opening, script: Script, bug: Exception, words: str, wrapped: bool
) -> None:
    async def enter() -> None:
        if wrapped:
            async with anyio.create_task_group():
                raise bug
        raise bug

    script.enter = enter

    with pytest.raises(PluginContractError) as caught:
        async with opening():
            pytest.fail("nobody is signed in")

    assert str(caught.value) == f"scripted broke on connecting: {words}"
    assert caught.value.__cause__ is bug


async def test_several_exceptions_at_once_are_all_named(opening: Opening, script: Script) -> None:
    async def enter() -> None:
        raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])

    script.enter = enter

    with pytest.raises(
        PluginContractError, match=r"^scripted broke on connecting: ValueError: one; KeyError: 'other'$"
    ):
        async with opening():
            pytest.fail("nobody is signed in")


async def test_an_interrupt_on_connecting_leaves_as_it_is(opening: Opening, script: Script) -> None:
    async def enter() -> None:
        raise Interrupt

    script.enter = enter

    with pytest.raises(Interrupt):
        async with opening():
            pytest.fail("nobody is signed in")


async def test_a_bug_of_the_users_is_none_of_the_plugins(opening: Opening) -> None:
    mistake = ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        async with opening():
            raise mistake

    assert caught.value is mistake


# Reports


def test_a_report_that_names_no_call_cannot_be_made() -> None:
    with pytest.raises(
        ValueError, match=r"^CallReport does not say which call it is about: set `ref` to the provider's"
    ):
        CallReport(source=Source.PUSH, as_of=1.0)
    with pytest.raises(ValueError, match=r"or `command_id` to the `id` of the command that caused it"):
        CallReport(source=Source.PUSH, as_of=1.0, ref="", command_id="")


@pytest.mark.parametrize("name", ["ref", "command_id"])
def test_one_name_of_a_call_is_enough(name: str) -> None:
    named: dict[str, Any] = {name: "c1"}

    assert getattr(CallReport(source=Source.PUSH, as_of=1.0, **named), name) == "c1"
    assert DigitHeard(as_of=1.0, digit="5", **named).digit == "5"
    assert RemoteOffer(as_of=1.0, sdp="v=0", **named).sdp == "v=0"


def test_a_notice_that_names_no_call_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"^DigitHeard does not say which call it is about"):
        DigitHeard(as_of=1.0, digit="5")
    with pytest.raises(ValueError, match=r"^RemoteOffer does not say which call it is about"):
        RemoteOffer(as_of=1.0, sdp="v=0")


def test_a_failed_command_is_named() -> None:
    busy = Cause(dialect="words", code="busy")

    with pytest.raises(ValueError, match=r"^CommandFailed does not say which command failed: set `command_id`"):
        CommandFailed(as_of=1.0, ref="c1", cause=busy)
    assert CommandFailed(as_of=1.0, command_id="x", cause=busy).ref is None


def test_a_gap_is_about_no_call() -> None:
    assert Gap(as_of=1.0, since=0.0, why="resync").ref is None


def test_a_report_is_still_a_frozen_value_without_a_dict() -> None:
    report = CallReport(source=Source.PUSH, as_of=1.0, ref="c1")

    assert not hasattr(report, "__dict__")
    with pytest.raises(AttributeError):
        report.ref = "c2"  # type: ignore[misc]


async def test_a_command_whose_report_names_no_call_is_told_to_who_waits(bridge: Bridge, script: Script) -> None:
    async def forget(command: object) -> None:
        script.answer(None)

    script.on(Dial, forget)  # type: ignore[arg-type]

    with pytest.raises(
        PluginContractError, match=r"Dial: scripted raised ValueError: CallReport does not say which call"
    ):
        await bridge.dial(TO)


@pytest.mark.parametrize(("fact", "kind"), [([], "list"), (None, "NoneType"), ("busy", "str")])
async def test_something_else_than_a_fact_is_refused_where_it_is_reported(
    bridge: Bridge, script: Script, fact: Any, kind: str
) -> None:
    with pytest.raises(TypeError, match=rf"report\(\) was given a {kind}: give it CallReports and Notices, each as"):
        script.report(fact)


# Reads


async def test_a_read_that_answers_nothing_counts_as_failed_and_is_logged(
    bridge: Bridge, script: Script, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(ref: str) -> Any:
        return None

    script.read = nothing
    script.steps[HangUp].append(script.obey)

    with caplog.at_level(logging.ERROR, "telco_bridge"):
        assert not await bridge._opened("test").reconciliation.read(bridge._switchboard.live[0], urgent=True)

    assert f"read() of call {call.id} returned a NoneType, not a CallReport or Gone; it counts as failed" in caplog.text
    assert call.state == "connected"


@pytest.mark.parametrize(
    ("listing", "sentence"),
    [
        (None, "returned a NoneType, not a CallList"),
        ([], "returned a list, not a CallList"),
        (CallList(None, 0.0), "returned a CallList of a NoneType, not of a tuple"),  # type: ignore[arg-type]
        (CallList(("c1",), 0.0), "listed a str, not only CallReports"),  # type: ignore[arg-type]
    ],
)
async def test_a_list_of_something_else_is_told(bridge: Bridge, script: Script, listing: Any, sentence: str) -> None:
    async def wrong() -> Any:
        return listing

    script.list_calls = wrong  # type: ignore[method-assign]

    with pytest.raises(PluginContractError) as caught:
        await bridge.recover()

    assert str(caught.value) == f"scripted: list_calls() {sentence}"


async def test_a_list_of_something_else_does_not_end_the_watch(
    opening: Opening, script: Script, clock: SteppedClock
) -> None:
    async def wrong() -> Any:
        return None

    script.list_calls = wrong  # type: ignore[method-assign]

    async with opening(sweep_interval=1.0) as bridge:
        await bridge.dial(TO)
        for _ in range(6):
            await clock.advance(30)
        health = bridge.health

    assert health.error == "scripted: list_calls() returned a NoneType, not a CallList"


async def test_an_execute_that_returns_its_report_is_told_to_report_it(bridge: Bridge, script: Script) -> None:
    async def returning(command: Any) -> Any:
        return script.fact()

    assert script.session is not None
    script.session.execute = returning  # type: ignore[method-assign]

    with pytest.raises(PluginContractError, match=r"returned a CallReport; give facts to host\.report\(\)"):
        await bridge.dial(TO)
