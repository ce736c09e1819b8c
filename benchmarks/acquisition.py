"""How long a sample takes to the recorder and to its journal, what that costs, and what is lost.

    python benchmarks/acquisition.py [--parts arrival faults memory soak neon screen backfill validation] [--quick]
                                      [--mne-lsl PYTHON] [--soak-seconds 600] [--json]

Prints a table: our recorder, a bare pylsl pull and mne-lsl's StreamInlet beside it, on samples that one process pushes
one by one with the time of the push as their stamp; then the rows of the parts in acquisition_parts/, each with its
target; a row without one is there to compare with. ``--json`` prints one list of rows in place of the table, with the
load of the machine when each was begun. Run it on a quiet machine; tails on a busy one are those of the machine.
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
from collections.abc import Iterator
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
"""s of silence at the end. What they cost counts as well, their time does not: CPU is told per second of samples."""
PARTS = Path(__file__).resolve().parent / "acquisition_parts"
PART_NAMES = ["arrival", "faults", "memory", "soak", "neon", "screen", "backfill", "validation"]
QUICK_SOAK_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[200.0, 1000.0, 2000.0], metavar="HZ")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--parts", nargs="+", default=PART_NAMES, choices=PART_NAMES, metavar="PART")
    parser.add_argument("--quick", action="store_true", help="small versions of the long parts")
    parser.add_argument("--soak-seconds", type=float, default=600.0, help="how long the loss row takes")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
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
        rows = measure(options)
        if options.json:
            print(json.dumps(rows, indent=1))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the parts asked for and return their rows; print them as they come, unless they are printed as JSON."""
    rows: list[dict[str, Any]] = []
    if "arrival" in options.parts:
        if not options.json:
            print(" | ".join(f"{name:>14}" for name in COLUMNS.values()), flush=True)
        for row in arrival_rows(options.rates, options.seconds, options.mne_lsl):
            rows.append(row)
            if not options.json:
                print(" | ".join(f"{show(row[name]):>14}" for name in COLUMNS), flush=True)
    soak_s = QUICK_SOAK_S if options.quick else options.soak_seconds
    extra = {
        "faults": ["--quick"] if options.quick else [],
        "memory": ["--hours", "0.25"] if options.quick else [],
        "backfill": ["--seconds", "60"] if options.quick else [],
        "soak": ["--seconds", f"{soak_s:g}"],
    }
    for part in options.parts:
        if part != "arrival":
            found = part_rows(PARTS / f"{part}.py", extra.get(part, []))
            rows += found
            if not options.json:
                print_part(found)
    return rows


def part_rows(script: Path, extra: list[str]) -> list[dict[str, Any]]:
    """Run one part; return its rows: measure, target, measured, met (None where there is no target)."""
    load = machine_load()
    done = subprocess.run([sys.executable, str(script), *extra], stdout=subprocess.PIPE, text=True)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    try:
        return [{"part": script.stem, "load": load, **row} for row in json.loads(last)]
    except (ValueError, TypeError) as error:
        raise SystemExit(
            f"{script.name} ended with {done.returncode} and without rows:\n{done.stdout}"
        ) from error


def print_part(rows: list[dict[str, Any]]) -> None:
    verdicts = {True: "met", False: "MISSED", None: "-"}
    for row in rows:
        cells = (f"{verdicts[row['met']]:6}", row["measure"], row["target"], row["measured"])
        print(" | ".join(str(cell) for cell in cells), f"(load {row['load']})", flush=True)


def machine_load() -> float | None:
    """Return the load of the last minute, rounded; None where the system does not tell it."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


COLUMNS = {
    "receiver": "receiver", "rate_hz": "Hz", "n_sent": "sent", "n_lost": "lost", "arrival_p50_ms": "arrival p50 ms",
    "arrival_p99_ms": "p99 ms", "arrival_max_ms": "max ms", "journal_p50_ms": "journal p50 ms",
    "journal_p99_ms": "p99 ms", "cpu_percent": "CPU %", "load": "load", "met": "targets",
}  # fmt: skip
ARRIVAL_P50_MS, ARRIVAL_P99_MS, JOURNAL_P99_MS = 0.3, 1.0, 60.0
CPU_PERCENT, CPU_RATE_HZ = 10.0, 1000.0
"""The CPU target is of this rate."""


def arrival_rows(rates_hz: list[float], seconds: float, mne_lsl: str | None) -> Iterator[dict[str, Any]]:
    """Measure every receiver at every rate; ``met`` is None for the peers, which have no targets."""
    for rate_hz in rates_hz:
        for receiver in ("recorder", "pylsl", *(["mne-lsl"] if mne_lsl else [])):
            name = f"benchmark-{uuid.uuid4().hex[:8]}"
            load = machine_load()
            common = ["--name", name, "--seconds", f"{seconds:g}"]
            sender = subprocess.Popen([sys.executable, __file__, "--send", f"{rate_hz:g}", *common])
            command = [sys.executable, __file__, "--receive", receiver, *common]
            if receiver == "mne-lsl":
                command = [str(mne_lsl), str(PARTS / "receive_mne.py"), *common]
            received = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            sender.wait()
            found: dict[str, Any] = json.loads(received.stdout.splitlines()[-1])
            n_sent = round(rate_hz * seconds)
            p50, p99, longest = found["arrival_ms"]
            row = {
                "part": "arrival", "receiver": receiver, "rate_hz": rate_hz, "n_sent": n_sent,
                "n_lost": n_sent - found["n"], "arrival_p50_ms": p50, "arrival_p99_ms": p99, "arrival_max_ms": longest,
                "journal_p50_ms": found["journal_ms"][0], "journal_p99_ms": found["journal_ms"][1],
                "cpu_percent": found["cpu_percent"], "load": load, "met": None,
            }  # fmt: skip
            if receiver == "recorder":
                row["met"] = (
                    row["n_lost"] == 0
                    and p50 <= ARRIVAL_P50_MS
                    and p99 <= ARRIVAL_P99_MS
                    and row["journal_p99_ms"] <= JOURNAL_P99_MS
                    and (rate_hz != CPU_RATE_HZ or row["cpu_percent"] <= CPU_PERCENT)
                )
            yield row


def show(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "-", True: "met", False: "MISSED"}[value]
    return f"{value:.2f}" if isinstance(value, float) else str(value)


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
        "cpu_percent": 100 * (cpu[1] - cpu[0]) / seconds,
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
        "cpu_percent": 100 * cpu / seconds,
    }


def figures(latency_ns: np.ndarray[Any, Any], sent_ns: np.ndarray[Any, Any]) -> list[float]:
    settled = latency_ns[sent_ns >= sent_ns[0] + WARM_UP_S * 1e9] / 1e6
    return [float(value) for value in (*np.percentile(settled, [50, 99]), settled.max())]


if __name__ == "__main__":
    main()
