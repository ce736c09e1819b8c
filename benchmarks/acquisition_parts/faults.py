"""Faults at full scale: a stalled writer, a killed recorder, cut files, flipped bits.

    python benchmarks/acquisition_parts/faults.py [--quick]

Prints one JSON list of rows: measure, target, measured, met.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pylsl

from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.recorder_client import start_recorder
from gazecapture.sources.lsl import LslSource, wait_for_streams

HERE = Path(__file__).resolve().parent
RATE_HZ = 1000.0
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows.append(stalled(folder / "stall", 2.0 if quick else 10.0))
        rows.append(killed(folder, 3 if quick else 20))
        rows += damaged(folder, 20 if quick else 100, 300 if quick else 6000)
    print(json.dumps(rows))


def sender(name: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "sender.py"), "--name", name, "--rate-hz", f"{RATE_HZ:g}"]
    return subprocess.Popen([*command, "--seconds", f"{seconds:g}"], stdout=subprocess.PIPE, text=True)


def row(measure: str, target: str, measured: str, *, met: bool) -> dict[str, object]:
    return {"measure": measure, "target": target, "measured": measured, "met": met}


def stalled(session: Path, stall_s: float) -> dict[str, object]:
    """Let one write of the journal take ``stall_s``, as on a disk that hangs."""
    append, due = JournalWriter.append, [1]

    def hanging(journal: JournalWriter, rows: pa.Table | pa.RecordBatch) -> None:
        if due and journal.folder.parent.name == "streams" and journal.n_rows > RATE_HZ:
            due.clear()
            time.sleep(stall_s)
        append(journal, rows)

    name = f"stall-{uuid.uuid4().hex[:8]}"
    seconds = stall_s + 4
    process = sender(name, seconds)
    found = wait_for_streams(lambda all_: [s for s in all_ if s.name == name] or None, wait_s=20)
    JournalWriter.append = hanging  # type: ignore[method-assign, assignment]
    try:
        final = record_session(session, connect=lambda: [LslSource((found or [])[0])], seconds=seconds + 2)
    finally:
        JournalWriter.append = append  # type: ignore[method-assign]
        process.kill()
        process.wait()
    (folder,) = (session / "streams").iterdir()
    n_lost = round(RATE_HZ * seconds) - np.unique(read_journal(folder).table["c2"].to_numpy()).size
    text = f"{n_lost} lost, queue high water {final.queue_high_water}"
    return row(f"writer stalled {stall_s:g} s", "0 lost", text, met=n_lost == 0 and not due)


def killed(folder: Path, n_runs: int) -> dict[str, object]:
    """Kill the recorder at random times; what was received and is not there is what is missing."""
    dice, n_intact, missing_ms = random.Random(7), 0, []
    name = f"kill-{uuid.uuid4().hex[:8]}"
    process = sender(name, 3600)

    try:
        for run in range(n_runs):
            session = folder / f"kill{run}"
            handle = start_recorder(session, extra_args=("--stream", name))
            status = handle.wait_until_recording()
            time.sleep(0.5 + dice.random())
            killed_at = pylsl.local_clock()
            os.kill(status.pid, KILL)
            while handle.is_alive():
                time.sleep(0.01)
            (stream,) = (session / "streams").iterdir()
            content = read_journal(stream)
            numbers = content.table["c2"].to_numpy()
            n_intact += not content.damage and bool((np.diff(numbers) == 1).all())
            missing_ms.append(1e3 * (killed_at - float(content.table["t_remote_s"][-1].as_py())))
            shutil.rmtree(session)
    finally:
        process.kill()
        process.wait()
    text = f"intact {n_intact}/{n_runs}, missing at most {max(missing_ms):.0f} ms"
    met = n_intact == n_runs and max(missing_ms) <= 100
    return row(
        f"kill -9 of the recorder, {n_runs} runs", f"intact {n_runs}/{n_runs}, <= 100 ms", text, met=met
    )


def damaged(folder: Path, n_cuts: int, n_flips: int) -> list[dict[str, object]]:
    """Cut and flip a journal of 40 batches; batches before the damage must be there, changes told."""
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("x", pa.float64())])
    sound, copy = folder / "sound", folder / "copy"
    with JournalWriter(sound, schema) as journal:
        for batch in range(40):
            journal.append_rows([{"n": batch * 20 + k, "x": k / 7} for k in range(20)])
    data, crc = ((sound / f"00000.{s}").read_bytes() for s in ("arrows", "crc"))
    ends = [offset + length for offset, length, _ in struct.iter_unpack("<QQI", crc)]
    whole, dice = read_journal(sound).table, random.Random(11)
    copy.mkdir()

    def read(data: bytes, crc: bytes) -> tuple[pa.Table, bool]:
        (copy / "00000.arrows").write_bytes(data)
        (copy / "00000.crc").write_bytes(crc)
        content = read_journal(copy, schema=schema)
        return content.table, bool(content.damage)

    good_cuts = 0
    for _ in range(n_cuts):
        cut = dice.randrange(len(data))
        n_rows = 20 * sum(end <= cut for end in ends[1:])
        good_cuts += read(data[:cut], crc)[0].equals(whole.slice(0, n_rows))
    n_before = n_told = n_changed = 0
    for _ in range(n_flips):
        bit = dice.randrange((len(data) + len(crc)) * 8)
        both = bytearray(data + crc)
        both[bit // 8] ^= 1 << bit % 8
        table, told = read(bytes(both[: len(data)]), bytes(both[len(data) :]))
        place = bit // 8 if bit // 8 < len(data) else None
        batch = sum(end <= place for end in ends[1:]) if place is not None else 0
        if place is None:
            batch = max((bit // 8 - len(data)) // 20 - 1, 0)
        n_before += table.slice(0, 20 * batch).equals(whole.slice(0, 20 * batch))
        changed = not table.equals(whole)
        n_changed += changed
        n_told += changed and told
    return [
        row(
            f"file cut at {n_cuts} random offsets",
            "every whole batch before it",
            f"{good_cuts}/{n_cuts}",
            met=good_cuts == n_cuts,
        ),
        row(
            f"{n_flips} single-bit flips",
            "batches before it; every change told",
            f"{n_before}/{n_flips} kept, {n_told} of {n_changed} changes told",
            met=n_before == n_flips and n_told == n_changed,
        ),
    ]


if __name__ == "__main__":
    main()
