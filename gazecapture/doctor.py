"""Checks of a reading station, each with what to do when it fails.

The windowing system is asked by a process of its own, so that a Qt that cannot start takes nothing down with it
and nothing here needs the viewer extra.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gazecapture.clock import import_pylsl
from gazecapture.files import free_bytes
from keyframes.errors import GazeToolError

__all__ = ["Check", "run_checks"]

MIN_REFRESH_HZ = 50.0
"""Slower screens (remote desktops, wrong cables) blur when an image appeared by more than a 50 Hz frame."""
MAX_SYNC_MS = 200.0
"""ms; the journals are forced onto the disk every second, by a thread that may not fall behind."""
MIN_WRITE_MB_PER_S = 5.0
"""A 2000 Hz stream of 8 channels is 0.2 MB/s; video and audio take up to 2."""
MIN_FREE_BYTES = 10 * 2**30
"""A day's sessions: about 7 GB of gaze."""
N_SYNCS = 20
SYNC_BYTES = 8192
BULK_BYTES = 32 * 2**20
N_LOOPBACK = 200
LOOPBACK_S = 5.0
SCREENS_S = 30.0
MIN_LSL_VERSION = 117
LIBRARIES = (
    "pylsl",
    "numpy",
    "scipy",
    "numba",
    "pyarrow",
    "pydicom",
    "pylibjpeg",
    "h5py",
    "pydantic",
    "psutil",
)
VIEWER_LIBRARIES = ("PyQt6", "opencv-python-headless")
VIEWER_FIX = 'pip install "gazecapture[viewer]"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    """What to do; empty where all is well."""


def run_checks(folder: Path) -> Iterator[Check]:
    """Give one check after the other; ``folder`` is where sessions will be written (it need not exist)."""
    yield _python()
    yield from _libraries()
    yield from _lsl()
    yield from _folder(folder)
    yield from _devices()


def _check(name: str, ok: bool, found: str, fix: str) -> Check:
    return Check(name=name, ok=ok, found=found, fix="" if ok else fix)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return _check("python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")


def _libraries() -> Iterator[Check]:
    for names, fix in ((LIBRARIES, "pip install gazecapture"), (VIEWER_LIBRARIES, VIEWER_FIX)):
        for name in names:
            try:
                yield _check(f"library {name}", True, importlib.metadata.version(name), "")
            except importlib.metadata.PackageNotFoundError:
                yield _check(f"library {name}", False, "not installed", fix)


def _lsl() -> Iterator[Check]:
    try:
        pylsl = import_pylsl()
    except GazeToolError as error:
        yield _check("LSL library", False, error.message, error.hint)
        return
    version = int(pylsl.library_version())
    yield _check(
        "LSL library",
        version >= MIN_LSL_VERSION,
        f"liblsl {version / 100:.2f}",
        "Install pylsl 1.18.2 or newer.",
    )
    name = f"gazecapture-doctor-{uuid.uuid4().hex[:8]}"
    header = pylsl.StreamInfo(name, "Doctor", 1, 100, "double64", name)
    outlet = pylsl.StreamOutlet(header)
    began = time.monotonic()
    found = pylsl.resolve_byprop("name", name, timeout=LOOPBACK_S)
    took_s = time.monotonic() - began
    yield _check(
        "LSL discovery",
        bool(found),
        f"own stream found in {took_s:.1f} s" if found else f"own stream not found within {LOOPBACK_S:g} s",
        "Let UDP port 16571 and multicast through the firewall, or name the senders as KnownPeers in lsl_api.cfg.",
    )
    if found:
        n = _loopback(pylsl, outlet, found[0])
        yield _check(
            "LSL transfer",
            n == N_LOOPBACK,
            f"{n} of {N_LOOPBACK} samples received",
            "Let TCP and UDP ports 16572 to 16604 through the firewall.",
        )


def _loopback(pylsl: Any, outlet: Any, handle: Any) -> int:
    """Send samples to ourselves and count what comes."""
    inlet = pylsl.StreamInlet(handle, recover=False)
    n = 0
    try:
        inlet.open_stream(timeout=LOOPBACK_S)
        # It is open before the outlet knows of it; what is sent between the two goes to nobody.
        outlet.wait_for_consumers(LOOPBACK_S)
        for value in range(N_LOOPBACK):
            outlet.push_sample([float(value)])
        end = time.monotonic() + LOOPBACK_S
        while n < N_LOOPBACK and time.monotonic() < end:
            _, stamps = inlet.pull_chunk(timeout=0.1, min_samples=1)
            n += len(stamps)
    except RuntimeError:  # pylsl's TimeoutError and LostError
        pass
    finally:
        inlet.close_stream()
    return n


def _folder(folder: Path) -> Iterator[Check]:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    fix = "Choose a folder that you may write (--out), or change its permissions."
    try:
        with tempfile.TemporaryDirectory(prefix=".gazecapture-doctor-", dir=place) as scratch:
            yield _check("write rights", True, f"{place} can be written", "")
            yield from _disk(Path(scratch) / "probe")
    except OSError as error:
        yield _check("write rights", False, f"{place}: {error.strerror or type(error).__name__}", fix)
    free = free_bytes(place)
    yield _check(
        "disk space",
        free >= MIN_FREE_BYTES,
        f"{free / 2**30:.1f} GiB free",
        f"Free some space: a day of reading needs up to {MIN_FREE_BYTES / 2**30:.0f} GiB.",
    )


def _disk(probe: Path) -> Iterator[Check]:
    """Measure small forced writes, as the journal does them, and one long write."""
    force = getattr(os, "fdatasync", os.fsync)
    took_ms = []
    with probe.open("wb", buffering=0) as handle:
        for _ in range(N_SYNCS):
            began = time.perf_counter()
            handle.write(os.urandom(SYNC_BYTES))
            force(handle.fileno())
            took_ms.append((time.perf_counter() - began) * 1e3)
        content = os.urandom(BULK_BYTES)
        began = time.perf_counter()
        rest = memoryview(content)
        while rest:
            rest = rest[handle.write(rest) :]
        force(handle.fileno())
        speed = BULK_BYTES / 1e6 / (time.perf_counter() - began)
    worst, usual = max(took_ms), sorted(took_ms)[N_SYNCS // 2]
    fix = "Write to a local disk, not to a network share or a USB stick."
    yield _check("disk sync", worst <= MAX_SYNC_MS, f"median {usual:.1f} ms, worst {worst:.1f} ms", fix)
    yield _check("disk speed", speed >= MIN_WRITE_MB_PER_S, f"{speed:.0f} MB/s", fix)


def _devices() -> Iterator[Check]:
    """Ask Qt, in another process, for screens and microphones."""
    command = [sys.executable, "-m", "gazecapture.viewer.qt.screens"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SCREENS_S, check=False)
        content = json.loads(done.stdout)
        screens, microphones = content["screens"], content["microphones"]
    except subprocess.TimeoutExpired:
        yield _check(
            "display", False, f"Qt does not answer within {SCREENS_S:g} s", "Log in to a desktop first."
        )
        return
    except (ValueError, KeyError, TypeError):
        yield _check(
            "display", False, _why_no_screens(done.stderr), f"{VIEWER_FIX}; then log in to a desktop."
        )
        return
    if content.get("platform") in ("offscreen", "minimal") or not screens:
        yield _check(
            "display", False, "none attached", "Attach a screen and log in to its desktop, or read offscreen."
        )
    else:
        for screen in screens:
            yield from _screen(screen)
    held = [str(what) for what in content.get("held_back") or []]
    yield _check(
        "screen saver",
        "screen saver" in held,
        f"held back while somebody reads: {', '.join(held)}" if held else "nothing here can hold it back",
        "Switch screen saver, sleep and notifications off in the system's settings before a session.",
    )
    if microphones is None:
        reason = str(content.get("microphones_unknown_because") or "unknown")
        yield _check("microphone", False, reason, "Install the sound libraries (on Debian: libpulse0).")
    else:
        yield _check(
            "microphone",
            bool(microphones),
            ", ".join(microphones) or "none",
            "Plug one in, or type reports instead.",
        )


def _screen(screen: dict[str, Any]) -> Iterator[Check]:
    name, ratio = screen["name"], screen["device_pixel_ratio"]
    yield _check(
        f"display {name}", True, f"{screen['width_px']} x {screen['height_px']} px, scale {ratio:g}", ""
    )
    yield _check(
        f"display {name} size",
        bool(screen["size_is_plausible"]),
        f"{screen['width_mm']:.0f} x {screen['height_mm']:.0f} mm, as the system says",
        "Measure the visible area and give it: gazecapture read --display-mm WxH. Without it there are no degrees.",
    )
    yield _check(
        f"display {name} refresh",
        screen["refresh_hz"] >= MIN_REFRESH_HZ,
        f"{screen['refresh_hz']:.1f} Hz",
        f"Set the screen to {MIN_REFRESH_HZ:g} Hz or more.",
    )


def _why_no_screens(stderr: bytes) -> str:
    text = stderr.decode(errors="replace")
    if "No module named" in text:
        return "the viewer extra is not installed"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Qt cannot start: {lines[-1]}" if lines else "Qt cannot start"
