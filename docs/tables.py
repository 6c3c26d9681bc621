"""Writes the generated tables between their markers in the documentation: `python docs/tables.py README.md`.

With `--check` nothing is written, and a table that is out of date is an error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from telco_bridge import Capability, SupportLevel, _discovery, errors

SIGNS = {
    SupportLevel.FULL: "yes",
    SupportLevel.EMULATED: "emulated",
    SupportLevel.PROVIDER_CANNOT: "no",
    SupportLevel.NOT_IMPLEMENTED: "not yet",
    SupportLevel.UNKNOWN: "?",
}
CERTIFICATES = Path(__file__).parent / "certificates"
PROVIDERS = ("simulator", "ucwa", "signalwire")


def support() -> str:
    """Capability by provider, as the plugins declare it."""
    plugins = [_discovery.load(name) for name in PROVIDERS]
    lines = ["| | " + " | ".join(f"`{name}`" for name in PROVIDERS) + " |", "|---" * (len(PROVIDERS) + 1) + "|"]
    for capability in Capability:
        declared = [plugin.support.get(capability) for plugin in plugins]
        if not any(s is not None and s.usable for s in declared):
            continue
        cells = [SIGNS[s.level] if s is not None else "?" for s in declared]
        lines.append(f"| {capability.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def error_tree() -> str:
    """The errors, as their module draws them."""
    tree = (errors.__doc__ or "").partition("\n\n")[2]
    return "```text\n" + "\n".join(line.removeprefix("    ") for line in tree.strip("\n").splitlines()) + "\n```"


def certificates() -> str:
    """What the kit has proved, one line for each certificate."""
    lines = ["| | levels | promises kept | not applicable |", "|---|---|---|---|"]
    for path in sorted(CERTIFICATES.glob("*.json")):
        certificate = json.loads(path.read_text())
        outcomes = [promise["outcome"] for promise in certificate["promises"]]
        link = f"[`{certificate['title']}`](docs/certificates/{path.stem}.md)"
        counts = f"{outcomes.count('kept')} | {outcomes.count('not applicable')}"
        lines.append(f"| {link} | {', '.join(certificate['levels'])} | {counts} |")
    return "\n".join(lines)


TABLES = {"support": support, "errors": error_tree, "certificates": certificates}


def renewed(text: str) -> str:
    """The text with every marked table written anew."""
    for name, table in TABLES.items():
        before, marker, rest = text.partition(f"<!-- {name}: generated -->\n")
        if marker:
            text = before + marker + table() + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    return text


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    stale = 0
    for path in map(Path, arguments):
        old = path.read_text()
        new = renewed(old)
        if new != old and "--check" in sys.argv:
            print(f"{path}: its tables are out of date; run `make docs`")
            stale = 1
        elif new != old:
            path.write_text(new)
    return stale


if __name__ == "__main__":
    sys.exit(main())
