"""Settings: every mistake is one sentence that names the file, the setting and the remedy, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from telco_bridge import ConfigError, PluginContractError, connect
from telco_bridge.config import load

from .conftest import Script

SECRET = "hunter2-and-more"

TWO = """
profile = "desk"

[profiles.desk]
provider = "simulator"

[profiles.cloud]
provider = "simulator"
caller_id = "+15550007"
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELCO_BRIDGE_CONFIG", raising=False)
    monkeypatch.delenv("TELCO_BRIDGE_PROFILE", raising=False)


def file(folder: Path, text: str) -> Path:
    path = folder / "telco.toml"
    path.write_text(text)
    return path


def complaint(config: object, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        connect(config, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_no_configuration_says_how_to_give_one() -> None:
    assert complaint(None) == (
        "no configuration: pass a file or a mapping to connect(), or set TELCO_BRIDGE_CONFIG to a TOML file"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert complaint(tmp_path / "none.toml") == f"there is no file {tmp_path / 'none.toml'}"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path} cannot be read: Is a directory"


@pytest.mark.parametrize("text", ["provider = ", b"\xff\xfe".decode("latin1") + "= 1"])
def test_a_file_that_is_not_toml_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    path = file(tmp_path, "")
    path.write_bytes(text.encode("latin1"))

    assert complaint(str(path)).startswith(f"{path} is not TOML: ")


def test_the_file_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELCO_BRIDGE_CONFIG", str(file(tmp_path, 'provider = "simulator"')))

    assert connect().provider == "simulator"


def test_the_profile_is_the_arguments_then_the_environments_then_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, TWO)
    assert load(path).prefix == "profiles.desk."
    monkeypatch.setenv("TELCO_BRIDGE_PROFILE", "cloud")
    assert load(path).prefix == "profiles.cloud."
    assert load(path).options == {"caller_id": "+15550007"}
    assert load(path, profile="desk").prefix == "profiles.desk."


def test_the_only_profile_needs_no_choice(tmp_path: Path) -> None:
    assert load(file(tmp_path, '[profiles.only]\nprovider = "simulator"')).prefix == "profiles.only."


def test_of_several_profiles_one_must_be_chosen(tmp_path: Path) -> None:
    path = file(tmp_path, TWO.replace('profile = "desk"', ""))

    assert complaint(path) == f"{path}: choose one of the profiles cloud, desk"


def test_an_unknown_profile_lists_those_that_there_are(tmp_path: Path) -> None:
    path = file(tmp_path, TWO)

    assert complaint(path, profile="prod") == f"{path}: there is no profile 'prod'; there are cloud, desk"


def test_a_profile_where_there_are_none_is_a_mistake(tmp_path: Path) -> None:
    path = file(tmp_path, 'provider = "simulator"')

    assert complaint(path, profile="prod") == f"{path}: profile 'prod' was asked for, but there are no profiles here"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('provider = "simulator"\n[profiles.a]', "provider is not known here (allowed: profile, profiles)"),
        ("profiles = 5", "profiles must hold at least one table [profiles.NAME]"),
        ("[profiles]\na = 5", "profiles.a must be a table"),
        ("[profiles.a]", "profiles.a.provider is missing; write the name of an installed provider"),
        ("", "provider is missing; write the name of an installed provider"),
        ('provider = ""', "provider is empty; write the name of an installed provider"),
        ("provider = 5", "provider must be the name of an installed provider"),
        ("provider = ['simulator']", "provider must be the name of an installed provider"),
    ],
)
def test_a_file_of_the_wrong_shape_says_what_is_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    path = file(tmp_path, text)

    assert complaint(path) == f"{path}: {sentence}"


def test_a_secret_comes_from_the_environment(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", SECRET)
    settings = load({"provider": script.plugin, "token": {"env": "ACME_TOKEN"}, "others": [{"env": "ACME_TOKEN"}]})

    assert settings.options == {"token": SECRET, "others": [SECRET]}


def test_a_secret_that_is_not_set_is_named(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_TOKEN", raising=False)

    sentence = complaint({"provider": script.plugin, "token": {"env": "ACME_TOKEN"}})

    assert sentence == "the mapping: token is taken from the environment variable ACME_TOKEN, which is not set"


def test_a_default_stands_in_for_the_environment(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_REGION", raising=False)
    config = {"provider": script.plugin, "region": {"env": "ACME_REGION", "default": "us"}}
    assert load(config).options == {"region": "us"}

    monkeypatch.setenv("ACME_REGION", "eu")

    assert load(config).options == {"region": "eu"}


def test_an_unknown_setting_suggests_the_one_that_was_meant(script: Script) -> None:
    sentence = complaint({"provider": script.plugin, "tokken": SECRET})

    assert sentence.startswith("the mapping: tokken is not a setting (did you mean token? allowed: ")
    assert SECRET not in sentence


def test_an_unknown_setting_of_the_core_suggests_the_one_that_was_meant(script: Script, tmp_path: Path) -> None:
    path = file(tmp_path, '[profiles.a]\nprovider = "simulator"\n[profiles.a.lifecycle]\nclose_timout = 5')

    sentence = complaint(path)

    assert sentence.startswith(
        f"{path}: profiles.a.lifecycle.close_timout is not a setting (did you mean close_timeout?"
    )


def test_a_misspelt_table_of_the_core_is_recognized(script: Script) -> None:
    sentence = complaint({"provider": script.plugin, "lifecyle": {"close_timeout": 5}})

    assert (
        "lifecyle is not a setting (did you mean lifecycle? allowed: lifecycle, port, region, token, web)" in sentence
    )


def test_every_wrong_setting_is_told_with_what_is_allowed_and_without_its_value(script: Script) -> None:
    sentence = complaint({"provider": script.plugin, "region": SECRET, "port": SECRET, "token": [SECRET]})

    assert "region: Input should be 'eu' or 'us'" in sentence
    assert "port: Input should be a valid integer" in sentence
    assert "token: Input should be a valid string" in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"lifecycle": 5}, "lifecycle: Input should be a valid dictionary"),
        ({"lifecycle": {"close_timeout": 0}}, "lifecycle.close_timeout: Input should be greater than 0"),
        ({"lifecycle": {"close_timeout": "soon"}}, "lifecycle.close_timeout: Input should be a valid number"),
        ({"web": {"listen": "8080"}}, "web.listen: write HOST:PORT, for example 127.0.0.1:8080"),
        ({"web": {"listen": "host:99999"}}, "web.listen: write HOST:PORT"),
        ({"web": {"public_url": "bridge.example.net"}}, "web.public_url: write an absolute URL"),
    ],
)
def test_settings_of_the_core_are_checked(script: Script, table: dict[str, object], sentence: str) -> None:
    assert f"the mapping: {sentence}" in complaint({"provider": script.plugin, **table})


def test_a_public_url_loses_its_final_slash(script: Script) -> None:
    settings = load({"provider": script.plugin, "web": {"public_url": "https://bridge.example.net/telco/"}})

    assert settings.web.public_url == "https://bridge.example.net/telco"


def test_no_secret_is_shown(script: Script) -> None:
    config = {"provider": script.plugin, "token": SECRET}
    bridge = connect(config)

    shown = f"{load(config)!r} {bridge!r} {bridge._settings!r} {bridge._options!r}"

    assert SECRET not in shown


def test_a_provider_that_is_none_is_refused() -> None:
    with pytest.raises(PluginContractError, match="the given provider is a object, not a ProviderPlugin"):
        connect({"provider": object()})


def test_a_mapping_without_profiles_does_not_mind_the_environment() -> None:
    settings = load({"provider": "simulator"}, environ={"TELCO_BRIDGE_PROFILE": "production"})

    assert settings.provider == "simulator"


@pytest.mark.parametrize("url", ["https://ada:secret@bridge.example.net", "https://bridge.example.net?key=secret"])
def test_a_public_url_carries_no_secret(url: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.public_url: write an absolute URL without credentials") as refusal:
        load({"provider": "simulator", "web": {"public_url": url}})

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 0, -1])
def test_a_wait_has_an_end(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"lifecycle\.confirm_timeout"):
        load({"provider": "simulator", "lifecycle": {"confirm_timeout": seconds}})
