"""A baresip that somebody has started: not by the plugin, which is told where its control port is."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Phone", "folder_of", "free_port", "softphones"]

_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
call_local_timeout 120
call_max_calls 20
audio_path {folder}
audio_source ausine,440
audio_player none,
audio_alert none,
ausrc_srate 48000
ausrc_channels 2
module_path {modules}
module g711.so
module ausine.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
ringback_disabled yes
menu_bell no
"""
_MODULES = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib64/baresip/modules")
_PATIENCE = 10.0
_STARTS = 3


class Phone:
    """Enter it (`with Phone() as phone:`)."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.control = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="phone-")
        try:
            self._start_somewhere()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def address(self) -> str:
        """Whom others call."""
        return f"sip:carol@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        return self._process.pid if self._process is not None else None

    def _start_somewhere(self) -> None:
        for attempt in range(1, _STARTS + 1):
            self.port, self.control = free_port(), free_port()
            try:
                self.start()
            except AssertionError:
                # Somebody else may have taken a port that was free.
                self.kill()
                if attempt == _STARTS:
                    raise
            else:
                return

    def start(self) -> None:
        """Start it, at the ports that it had before."""
        folder = Path(self._folder.name)
        modules = next((m for m in _MODULES if Path(m, "ctrl_tcp.so").exists()), _MODULES[0])
        config = _CONFIG.format(sip=self.port, control=self.control, folder=folder, modules=modules)
        (folder / "config").write_text(config)
        (folder / "accounts").write_text(f"<sip:carol@127.0.0.1:{self.port}>;regint=0\n")
        (folder / "contacts").write_text("")
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["baresip", "-f", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE
        listens = f"0100007F:{self.control:04X} 00000000:0000 0A"
        while listens not in Path("/proc/net/tcp").read_text(encoding="ascii"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"baresip does not start; it said: {(folder / 'log').read_text()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once: nobody is told."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_PATIENCE)


def softphones() -> list[int]:
    """Return the process ids of every baresip that was started by this process and has not been ended and awaited."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            status = Path("/proc", child, "comm")
            if status.exists() and status.read_text(encoding="utf-8").strip() == "baresip":
                found.append(int(child))
    return found


def free_port() -> int:
    """Return a port that is free by UDP and TCP, and the one above it too."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp, socket.socket() as above:
            udp.bind(("127.0.0.1", 0))
            port = int(udp.getsockname()[1])
            try:
                tcp.bind(("127.0.0.1", port))
                above.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no free port")


def folder_of(pid: int) -> Path:
    """Return the folder that a process works in."""
    return Path("/proc", str(pid), "cwd").readlink()
