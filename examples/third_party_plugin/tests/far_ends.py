"""The far ends: what each of them does when it is called, and the `sipp` process that does it."""

from __future__ import annotations

import socket
import subprocess
import time
from enum import StrEnum
from pathlib import Path

__all__ = ["ACCOUNT", "HERE", "PATIENCE", "Far", "Sipp"]

HERE = "127.0.0.1"
PATIENCE = 10.0
"""Seconds within which anything must have happened."""
ACCOUNT = ("alice", "a-secret-that-nobody-sees")
"""The user and the password that the registrar knows."""

_SCENARIOS = Path(__file__).parent / "scenarios"
_FOREVER = "600000"
_OLDEST = "3600s"
"""After which a sipp ends by itself, should nobody be left to end it."""
_STARTS = 3


class Far(StrEnum):
    """How a far end behaves."""

    ANSWERS = "answers"
    HANGS_UP = "hangs_up"
    """Answers, and hangs up after a quarter of a second."""
    RINGS = "rings"
    SILENT = "silent"
    """Takes what comes, and never says a word."""
    DECLINES = "declines"
    """Rings, and then refuses with 603."""
    BUSY = "busy"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    ERROR = "error"
    OVERLOADED = "overloaded"
    BUSY_EVERYWHERE = "busy_everywhere"
    CALLER = "caller"
    """Calls somebody."""
    REGISTRAR = "registrar"
    """Is called by nobody, and knows one account."""


_SCRIPTS: dict[Far, tuple[str, dict[str, str]]] = {
    Far.ANSWERS: ("answers", {"patience": "100", "talk": _FOREVER}),
    Far.HANGS_UP: ("answers", {"patience": "100", "talk": "250"}),
    Far.RINGS: ("rings", {"patience": _FOREVER, "status": "480", "phrase": "Temporarily Unavailable"}),
    Far.DECLINES: ("rings", {"patience": "100", "status": "603", "phrase": "Decline"}),
    Far.BUSY: ("refuses", {"status": "486", "phrase": "Busy Here"}),
    Far.NOT_FOUND: ("refuses", {"status": "404", "phrase": "Not Found"}),
    Far.UNAVAILABLE: ("refuses", {"status": "480", "phrase": "Temporarily Unavailable"}),
    Far.ERROR: ("refuses", {"status": "500", "phrase": "Server Internal Error"}),
    Far.OVERLOADED: ("refuses", {"status": "503", "phrase": "Service Unavailable"}),
    Far.BUSY_EVERYWHERE: ("refuses", {"status": "600", "phrase": "Busy Everywhere"}),
    Far.CALLER: ("calls", {}),
    Far.REGISTRAR: ("registers", {"user": ACCOUNT[0], "password": ACCOUNT[1]}),
}


class Sipp:
    """One `sipp` that runs, until it is stopped."""

    def __init__(self, far: Far, folder: Path, *, relay: int, audio: int) -> None:
        """Start it, and wait until it listens. All that it sends names the relay's port as its own."""
        script, values = _SCRIPTS[far]
        text = (_SCENARIOS / f"{script}.xml").read_text(encoding="ascii")
        for name, value in {"relay": f"{HERE}:{relay}", "audio": str(audio), **values}.items():
            text = text.replace(f"@{name}@", value)
        folder.mkdir()
        (folder / "scenario.xml").write_text(text, encoding="ascii")
        for attempt in range(1, _STARTS + 1):
            self.address = (HERE, _free_port())
            self.process = _sipp(folder, self.address[1])
            try:
                self._await_listener(folder / "errors")
            except AssertionError:
                # Somebody else may have taken a port that was free.
                self.stop()
                if attempt == _STARTS:
                    raise
            else:
                return

    @staticmethod
    def exists(far: Far) -> bool:
        """Whether there is anybody: nobody is behind a line that stays silent."""
        return far in _SCRIPTS

    def stop(self) -> None:
        """End the process, and leave no zombie."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def _await_listener(self, errors: Path) -> None:
        port = self.address[1]
        listens = f"0100007F:{port:04X} "
        deadline = time.monotonic() + PATIENCE
        while listens not in Path("/proc/net/udp").read_text(encoding="ascii"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = errors.read_text(encoding="utf-8", errors="replace") if errors.exists() else "nothing"
                raise AssertionError(f"sipp does not listen at port {port}; it said: {said}")
            time.sleep(0.005)


def _sipp(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = ["sipp", "-sf", "scenario.xml", "-i", HERE, "-bind_local", "-ci", HERE, "-p", str(port), "-nostdin"]
    return subprocess.Popen(
        [*command, "-timeout", _OLDEST, "-trace_err", "-error_file", "errors"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])
