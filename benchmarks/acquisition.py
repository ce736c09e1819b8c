"""How long a sample takes to the recorder and to its journal, what that costs, and what is lost.

    python benchmarks/acquisition.py [--parts arrival faults memory soak neon] [--quick] [--mne-lsl PYTHON]

Prints a table: our recorder, a bare pylsl pull and mne-lsl's StreamInlet beside it, on samples that one process pushes
one by one with the time of the push as their stamp; then the rows of the parts in acquisition_parts/, each with its
target. Run it on a quiet machine; tails on a busy one are those of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)

import numpy as np
import pyarrow as pa

from gazecapture.clock import import_pylsl, session_now_ns
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.recorder import record_session
from gazecapture.sources.lsl import LslSource, wait_for_streams

N_CHANNELS = 8
WARM_UP_S = 1.0
"""s of samples that are left out: threads and caches settle."""
DRAIN_S = 3.0
PARTS = Path(__file__).resolve().parent / "acquisition_parts"
QUICK_SOAK_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[200.0, 1000.0, 2000.0], metavar="HZ")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--parts", nargs="+", default=["arrival", "faults", "memory", "soak", "neon"], metavar="PART"
    )
    parser.add_argument("--quick", action="store_true", help="small versions of the long parts")
    parser.add_argument("--soak-seconds", type=float, default=600.0)
    parser.add_argument("--mne-lsl", metavar="PYTHON", help="of an environment with mne-lsl, for the peer")
    parser.add_argument("--send", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--receive", choices=["recorder", "pylsl"], help=argparse.SUPPRESS)
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send is not None:
        send(options.name, options.send, options.seconds)
    elif options.receive == "recorder":
        print(json.dumps(receive_with_recorder(options.name, options.seconds)))
    elif options.receive == "pylsl":
        print(json.dumps(receive_with_pylsl(options.name, options.seconds)))
    else:
        if "arrival" in options.parts:
            table(options.rates, options.seconds, options.mne_lsl)
        soak_s = QUICK_SOAK_S if options.quick else options.soak_seconds
        extra = {
            "faults": ["--quick"] if options.quick else [],
            "memory": ["--hours", "0.25"] if options.quick else [],
            "soak": ["--seconds", f"{soak_s:g}"],
        }
        for part in options.parts:
            if part != "arrival" and (PARTS / f"{part}.py").is_file():
                print_rows(PARTS / f"{part}.py", extra.get(part, []))


def print_rows(script: Path, extra: list[str]) -> None:
    """Run one part and print its rows; a part that prints something else is shown as it is."""
    done = subprocess.run([sys.executable, str(script), *extra], stdout=subprocess.PIPE, text=True)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    try:
        rows = [(r["measure"], r["target"], r["measured"], r["met"]) for r in json.loads(last)]
    except (ValueError, TypeError, KeyError):
        print(done.stdout)
        return
    for measure, target, measured, met in rows:
        print(f"{'met   ' if met else 'MISSED'} | {measure} | {target} | {measured}", flush=True)


def table(rates_hz: list[float], seconds: float, mne_lsl: str | None) -> None:
    print(f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown")
    columns = (
        "receiver",
        "Hz",
        "sent",
        "lost",
        "arrival p50 ms",
        "p99 ms",
        "max ms",
        "journal p50 ms",
        "p99 ms",
        "CPU %",
    )
    print(" | ".join(f"{name:>14}" for name in columns))
    for rate_hz in rates_hz:
        for receiver in ("recorder", "pylsl", *(["mne-lsl"] if mne_lsl else [])):
            name = f"benchmark-{uuid.uuid4().hex[:8]}"
            common = ["--name", name, "--seconds", f"{seconds:g}"]
            sender = subprocess.Popen([sys.executable, __file__, "--send", f"{rate_hz:g}", *common])
            command = [sys.executable, __file__, "--receive", receiver, *common]
            if receiver == "mne-lsl":
                command = [str(mne_lsl), str(PARTS / "receive_mne.py"), *common]
            received = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            sender.wait()
            n_sent = round(rate_hz * seconds)
            found: dict[str, Any] = json.loads(received.stdout.splitlines()[-1])
            cells = [receiver, f"{rate_hz:g}", n_sent, n_sent - found["n"], *map(show, found["arrival_ms"])]
            cells += [*map(show, found["journal_ms"]), f"{found['cpu_percent']:.1f}"]
            print(" | ".join(f"{cell!s:>14}" for cell in cells), flush=True)


def show(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def send(name: str, rate_hz: float, seconds: float) -> None:
    pylsl = import_pylsl()
    header = pylsl.StreamInfo(name, "Gaze", N_CHANNELS, rate_hz, "double64", name)
    outlet = pylsl.StreamOutlet(header)
    outlet.wait_for_consumers(30)
    time.sleep(0.5)
    start = pylsl.local_clock()
    for n in range(round(rate_hz * seconds)):
        while (wait_s := start + n / rate_hz - pylsl.local_clock()) > 0:
            time.sleep(wait_s)
        outlet.push_sample([float(n)] * N_CHANNELS, pylsl.local_clock())
    time.sleep(DRAIN_S)


def receive_with_recorder(name: str, seconds: float) -> dict[str, Any]:
    """Record in this process and note when each batch was written."""
    written: list[tuple[int, pa.Table]] = []
    append = JournalWriter.append

    def noting(journal: JournalWriter, rows: pa.Table | pa.RecordBatch) -> None:
        append(journal, rows)
        if journal.folder.parent.name == "streams":
            written.append((session_now_ns(), rows))

    JournalWriter.append = noting  # type: ignore[method-assign, assignment]
    cpu: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        found = wait_for_streams(lambda all_: [s for s in all_ if s.name == name] or None, wait_s=20)
        if not found:
            raise SystemExit("the sender does not answer")
        session = Path(scratch) / "session"
        record_session(
            session,
            connect=lambda: [LslSource(found[0])],
            seconds=seconds + DRAIN_S,
            on_start=lambda _: cpu.append(time.process_time()),
        )
        cpu.append(time.process_time())
        (folder,) = (session / "streams").iterdir()
        content = read_journal(folder).table
    sent_ns = content["t_remote_s"].to_numpy() * 1e9
    journal_ns = np.concatenate([np.full(rows.num_rows, at) for at, rows in written])
    return {
        "n": content.num_rows,
        "arrival_ms": figures(content["t_received_ns"].to_numpy() - sent_ns, sent_ns),
        "journal_ms": figures(journal_ns - sent_ns, sent_ns)[:2],
        "cpu_percent": 100 * (cpu[1] - cpu[0]) / (seconds + DRAIN_S),
    }


def receive_with_pylsl(name: str, seconds: float) -> dict[str, Any]:
    """Pull as plainly as one can."""
    pylsl = import_pylsl()
    inlet = pylsl.StreamInlet(pylsl.resolve_byprop("name", name, timeout=20)[0])
    inlet.open_stream(timeout=5)
    sent, received = [], []
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds + DRAIN_S:
        _, stamps = inlet.pull_chunk(timeout=0.2, min_samples=1, as_numpy=True)
        now = pylsl.local_clock()
        sent.append(stamps)
        received.append(np.full(len(stamps), now))
    cpu = time.process_time() - cpu
    sent_ns = np.concatenate(sent) * 1e9
    return {
        "n": sent_ns.size,
        "arrival_ms": figures(np.concatenate(received) * 1e9 - sent_ns, sent_ns),
        "journal_ms": [None, None],
        "cpu_percent": 100 * cpu / (seconds + DRAIN_S),
    }


def figures(latency_ns: np.ndarray[Any, Any], sent_ns: np.ndarray[Any, Any]) -> list[float]:
    settled = latency_ns[sent_ns >= sent_ns[0] + WARM_UP_S * 1e9] / 1e6
    return [float(value) for value in (*np.percentile(settled, [50, 99]), settled.max())]


if __name__ == "__main__":
    main()
