"""Pages of the documentation, whose blocks run as they stand."""

from __future__ import annotations

import ast
import inspect
import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import anyio

__all__ = ["ROOT", "Page"]

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Page:
    """A page, section by section."""

    def __init__(self, path: str) -> None:
        self.text = (ROOT / path).read_text()
        self.sections: dict[str, str] = dict(_SECTION.findall(self.text))

    @staticmethod
    def blocks(text: str) -> list[tuple[str, str]]:
        """Every Python block of a text, with what it is said to print."""
        return _BLOCK.findall(text)

    def block(self, section: str) -> tuple[str, str]:
        """The only Python block of a section, and what the page says that it prints, where it does."""
        ((code, printed),) = self.blocks(self.sections[section])
        return code, printed

    async def run(self, section: str, names: Mapping[str, object]) -> dict[str, object]:
        """Run the block of a section as it stands, with these names; return those that there are then."""
        code, promised = self.block(section)
        namespace: dict[str, object] = {"anyio": anyio, **names}
        printed = io.StringIO()
        with redirect_stdout(printed):
            # The block stands for lines of a function.
            running = eval(compile(code, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
            assert inspect.iscoroutine(running)
            await running
        assert printed.getvalue() == promised or not promised
        return namespace
