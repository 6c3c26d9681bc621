"""The documentation is true: its programs run, its tables are those of the code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from telco_bridge import config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_program_prints_what_the_readme_says() -> None:
    program, promised = blocks("python")[0], blocks("text")[0]

    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True, timeout=30
    ).stdout

    assert printed == promised
    assert len(program.splitlines()) <= 20


def test_the_generated_tables_are_those_of_the_code() -> None:
    specification = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert specification is not None
    assert specification.loader is not None
    tables = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tables)

    assert tables.renewed(README) == README, "run `make docs`"


@pytest.mark.parametrize("profile", ["signalwire", "skype"])
def test_the_configuration_of_the_readme_is_accepted(profile: str) -> None:
    from telco_bridge import _discovery

    document = tomllib.loads(blocks("toml")[0])
    secrets = {"SIGNALWIRE_TOKEN": "t", "SIGNALWIRE_SIGNING_KEY": "k", "UCWA_PASSWORD": "p"}

    settings = config.load(document, profile=profile, environ=secrets)

    assert isinstance(settings.provider, str)
    model = _discovery.load(settings.provider).config_model
    assert config.validate(model, settings.options, settings.prefix, settings.source)


def test_the_readme_names_only_commands_and_files_that_exist() -> None:
    words = set(re.findall(r"`(make [a-z]+)`|^(make [a-z]+)", README, re.MULTILINE))
    targets = {first or second for first, second in words}
    makefile = (ROOT / "Makefile").read_text()

    assert {"make demo", "make test"} <= targets
    assert not [target for target in targets if f"\n{target.split()[1]}:" not in makefile]
    assert not [link for link in re.findall(r"\]\(([^)#:]+)\)", README) if not (ROOT / link).exists()]
