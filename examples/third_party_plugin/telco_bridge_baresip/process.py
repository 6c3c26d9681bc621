"""A baresip of our own: its configuration in a private folder, its life and its end."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import Process
from telco_bridge.provider import ConfigError, Unreachable

from .config import PROVIDER, BaresipConfig, endpoint

__all__ = ["Softphone", "configuration", "private_softphone"]

_MODULES = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib64/baresip/modules")
_FAREWELL = 1.5
"""Seconds that baresip gets for saying BYE. It would wait half a minute for far ends that do not answer."""
_LOG_LIMIT = 4_000_000
_TAIL = 600
_NOISE = re.compile(r"\x1b\[[0-9;]*m|\r")


class Softphone:
    """One baresip after another, in one folder and, as far as possible, at one address."""

    def __init__(self, config: BaresipConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._process: Process | None = None
        self._log = folder / "log"
        self.listen = endpoint(config.listen)
        """Where it is called; known once it has been started."""
        self.control = ("127.0.0.1", 0)
        """Its control port."""

    @property
    def returncode(self) -> int | None:
        """The status that it ended with, negative for a signal; None while it runs."""
        return self._process.returncode if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, at a free port where none is set. Raises `ConfigError` where it cannot be started at all."""
        await self.stop()
        host, port = self.listen
        if endpoint(self._config.listen)[1] == 0 and not _are_free(host, port):
            self.listen = host, _free_sip_port(host)
        self.control = "127.0.0.1", _free_port()
        self._write()
        with self._log.open("ab") as log:
            try:
                self._process = await anyio.open_process(
                    [self._config.program, "-f", str(self._folder)],
                    stdin=subprocess.DEVNULL,
                    # Written to its end, so that it can be cut while it is written.
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._folder,
                    # A Ctrl-C in the terminal is for the application, which then hangs up.
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise ConfigError(
                    f"there is no program {self._config.program!r}: install baresip (Debian: baresip-core), or set "
                    "`program` to its path"
                ) from error
            except OSError as error:
                raise ConfigError(f"{self._config.program!r} cannot be run: {error.strerror}") from error

    async def stop(self) -> None:
        """End it, in bounded time, and leave no zombie."""
        process, self._process = self._process, None
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            for send, patience in ((process.terminate, _FAREWELL), (process.kill, None)):
                if process.returncode is not None:
                    break
                with suppress(ProcessLookupError):
                    send()
                with anyio.move_on_after(patience):
                    await process.wait()
            await process.wait()
            await process.aclose()

    async def ended(self) -> int | None:
        """Wait for its end and return the status."""
        return await self._process.wait() if self._process is not None else None

    def said(self) -> str:
        """The last words of its log, in one line."""
        return " / ".join(line for line in self._read_log()[-_TAIL:].splitlines() if line.strip())

    def refusal(self, account: str) -> str | None:
        """The registrar's last refusal of an account: a SIP status and its phrase, where the log tells."""
        found = re.findall(rf"^reg: {re.escape(account)}: ([1-6][0-9]{{2}} [^(\n]*)", self._read_log(), re.MULTILINE)
        return str(found[-1]).strip() if found else None

    def failure(self) -> Unreachable:
        """The error for a start that came to nothing."""
        state = "does not answer" if self.running else f"ended with status {self.returncode}"
        return Unreachable(
            f"baresip was started and {state}. Its last words: {self.said() or 'none'}", provider=PROVIDER
        )

    def trim(self) -> None:
        """Keep the log from growing without bounds."""
        with suppress(OSError):
            if self._log.stat().st_size > _LOG_LIMIT:
                with self._log.open("r+b") as log:
                    log.truncate(0)

    def _read_log(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return _NOISE.sub("", text)

    def _write(self) -> None:
        (self._folder / "sounds").mkdir(exist_ok=True)
        files = configuration(self._config, self._folder, listen=self.listen, control=self.control)
        for name, text in files.items():
            (self._folder / name).write_text(text, encoding="utf-8")


@asynccontextmanager
async def private_softphone(config: BaresipConfig) -> AsyncGenerator[Softphone]:
    """Offer a softphone that has not been started; end it and remove its folder afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="telco-bridge-baresip-"))
    softphone = Softphone(config, folder)
    try:
        yield softphone
    finally:
        try:
            await softphone.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def configuration(
    config: BaresipConfig, folder: Path, *, listen: tuple[str, int], control: tuple[str, int]
) -> dict[str, str]:
    """Return the files of baresip's configuration. Raises `ConfigError` for modules and recordings that are missing."""
    return {
        "config": "".join(f"{name} {value}\n" for name, value in _settings(config, folder, listen, control)),
        "accounts": f"{_account(config, listen)}\n",
        "contacts": "",
    }


def _settings(
    config: BaresipConfig, folder: Path, listen: tuple[str, int], control: tuple[str, int]
) -> list[tuple[str, str]]:
    modules = _modules(config)
    source, player = config.audio_source, config.audio_player
    devices = [device.partition(",")[0] for device in (source, player) if device is not None]
    settings = [
        ("poll_method", "epoll"),
        ("sip_listen", _joined(listen)),
        ("call_local_timeout", str(round(config.answer_within))),
        ("call_max_calls", str(config.max_calls)),
        # Without sounds there are none to be played in place of the far end: no ringing, no error tones.
        ("audio_path", str(folder / "sounds")),
        ("audio_source", source if "," in source else f"{source},"),
        ("audio_player", player if player is not None and "," in player else f"{player or 'none'},"),
        ("audio_alert", "none,"),
        *_rate(source),
        ("jitter_buffer_delay", "5-10"),
        ("module_path", str(modules)),
        ("module", "g711.so"),
        *(("module", f"{name}.so") for name in dict.fromkeys(devices)),
        ("module_tmp", "account.so"),
        ("module_app", "menu.so"),
        ("module_app", "ctrl_tcp.so"),
        ("ctrl_tcp_listen", _joined(control)),
        ("ringback_disabled", "yes"),
        ("menu_bell", "no"),
        ("statmode_default", "off"),
    ]
    if listen[0] not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        # An address, although it is called an interface: `lo` would not do.
        settings.append(("net_interface", listen[0]))
    for name in devices:
        if not (modules / f"{name}.so").exists():
            raise ConfigError(f"baresip has no audio module {name!r} in {modules}: check audio_source and audio_player")
    return settings


def _modules(config: BaresipConfig) -> Path:
    candidates = (config.modules,) if config.modules is not None else tuple(map(Path, _MODULES))
    found = next((folder for folder in candidates if (folder / "ctrl_tcp.so").exists()), None)
    if found is None:
        raise ConfigError(
            f"no module ctrl_tcp.so in {' or '.join(map(str, candidates))}: install baresip (Debian: baresip-core), or "
            "set `modules` to the folder of its modules"
        )
    return found


def _rate(source: str) -> list[tuple[str, str]]:
    """The form of what the source makes: baresip resamples it for the call, but does not ask for it."""
    module, _, device = source.partition(",")
    if module == "ausine":
        return [("ausrc_srate", "48000"), ("ausrc_channels", "2")]
    if module != "aufile":
        return []
    try:
        with wave.open(device, "rb") as recording:
            if recording.getsampwidth() != 2:
                raise ConfigError(f"audio_source: {device} is not a recording of 16 bits")
            return [("ausrc_srate", str(recording.getframerate())), ("ausrc_channels", str(recording.getnchannels()))]
    except (OSError, EOFError, wave.Error) as error:
        raise ConfigError(f"audio_source: {device} cannot be read as a .wav file: {error}") from error


def _account(config: BaresipConfig, listen: tuple[str, int]) -> str:
    domain = config.domain or _joined(listen)
    name = f'"{config.display_name}" ' if config.display_name is not None else ""
    parameters = {
        "regint": "600" if config.registrar else "0",
        # A far end could otherwise make us dial whom it likes.
        "call_transfer": "no",
        "auth_user": config.auth_user,
        "auth_pass": config.password.get_secret_value() if config.password is not None else None,
        "outbound": f'"{config.outbound}"' if config.outbound is not None else None,
    }
    written = "".join(f";{key}={value}" for key, value in parameters.items() if value is not None)
    return f"{name}<sip:{config.user}@{domain}>{written}"


def _joined(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _free_sip_port(host: str) -> int:
    for _ in range(100):
        with socket.socket(_family(host), socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            port = int(probe.getsockname()[1])
        if _are_free(host, port):
            return port
    raise ConfigError(f"no free port for SIP on {host}")


def _are_free(host: str, port: int) -> bool:
    """Whether baresip could listen there: by UDP, by TCP, and for TLS one above."""
    if not 0 < port < 65535:
        return False
    try:
        for kind, number in ((socket.SOCK_DGRAM, port), (socket.SOCK_STREAM, port), (socket.SOCK_STREAM, port + 1)):
            with socket.socket(_family(host), kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, number))
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
