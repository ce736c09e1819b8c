"""Export of ever more readings: memory must stay, time must grow in step.

Each reading has 4 s of simulated gaze at 60 Hz (64 fixations, 8 key frames), a film of 160 px whose header names
another patient, and all stages done. Only the first is made that way; the others link its tables and have ids, picture
and header of their own. Both formats, tables and originals are written and scanned; the samples stay behind, as the
default gaze tier has it.

What a shard holds back while it is written grows until it is full (1,024 readings), so that only larger exports tell
what a further reading takes. From the two largest follows what 100,000 readings would.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from export_data import Row

from curation.config import CurationConfig
from curation.export.dataset import MANIFEST, export_dataset
from gazecapture.demo.studies import write_demo_studies
from gazecapture.radiograph.synthetic import SYNTHETIC_NAME
from gazecapture.simulation.offline import simulate_session
from gazecapture.store import Store

TARGET_MIB, TARGET_READINGS = 1024, 100_000
LINEAR_SLACK = 1.25
"""Processor time per reading of the largest export over that of the smallest: beyond it time does not grow in step."""
SIZE_PX = (160, 192)
DURATION_S, RATE_HZ = 4.0, 60.0
LOOK_EVERY_S = 0.05
LINKS_PER_FILE = 50_000
"""Some file systems allow 65,000 names of a file."""


def measure(folder: Path, sizes: Sequence[int]) -> Iterator[Row]:
    """Give time and memory of one export process for each size; only 100,000 readings are held to the target."""
    template = _template(folder)
    store = template.parent
    found = []
    ids = [template.name]
    for n_readings in sorted(sizes):
        while len(ids) < n_readings:
            ids.append(_clone(template, len(ids)))
        done = subprocess.run(
            [sys.executable, __file__, str(store), str(folder / "dataset")],
            stdout=subprocess.PIPE, check=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        one = json.loads(done.stdout.splitlines()[-1])
        one["kb"] = sum(f["bytes"] for f in json.loads((folder / "dataset" / MANIFEST).read_bytes())["files"])
        one["kb"] /= 1e3 * one["n"]
        shutil.rmtree(folder / "dataset")
        found.append(one)
        yield Row(
            measure=f"export of {one['n']:,} readings of {one['kb']:.0f} kB",
            target=f"<= {TARGET_MIB} MiB" if one["n"] >= TARGET_READINGS else "",
            measured=f"{one['mib']:.0f} MiB of its own (before the first reading {one['before_mib']:.0f}, up to the "
            f"last {one['loop_mib']:.0f}, with mapped files {one['mapped_mib']:.0f}); for each "
            f"{1e3 * one['cpu_s'] / one['n']:.0f} ms of a processor, {1e3 * one['s'] / one['n']:.0f} ms in all",
            met=one["mib"] <= TARGET_MIB if one["n"] >= TARGET_READINGS else None,
        )
    if len(found) > 1:
        yield from _growth(found)


def _growth(found: Sequence[dict[str, float]]) -> Iterator[Row]:
    """Give what a further reading takes, and what as many as the target names would."""
    first, before, last = found[0], found[-2], found[-1]
    growth = (last["cpu_s"] / last["n"]) / (first["cpu_s"] / first["n"])
    yield Row(
        measure=f"time in step with readings, {first['n']:,} to {last['n']:,}",
        target=f"<= {LINEAR_SLACK} x for each",
        measured=f"{growth:.2f} x the processor time for each",
        met=growth <= LINEAR_SLACK,
    )
    further_kib = 1024 * (last["mib"] - before["mib"]) / (last["n"] - before["n"])
    yield Row(
        measure=f"memory, {before['n']:,} to {last['n']:,} readings",
        measured=f"{further_kib:.1f} KiB for each reading more",
    )
    if last["n"] < TARGET_READINGS:
        computed_mib = last["mib"] + further_kib / 1024 * (TARGET_READINGS - last["n"])
        hours = last["cpu_s"] / last["n"] * TARGET_READINGS / 3600
        yield Row(
            measure=f"{TARGET_READINGS:,} readings, computed from these",
            measured=f"{computed_mib:.0f} MiB (target {TARGET_MIB}), {hours:.1f} hours of a processor",
        )


def _template(folder: Path) -> Path:
    """Return the store folder of one reading with all its stages done."""
    write_demo_studies(folder / "studies", n_studies=1, seed=3, size_px=SIZE_PX)
    simulate_session(
        folder / "sessions" / "R01", folder / "studies", reader_seed=1, reader_code="R01",
        truth_dir=folder / "truth", rate_hz=RATE_HZ, duration_s=DURATION_S,
    )  # fmt: skip
    store = folder / "store"
    for words in (
        ["ingest", folder / "sessions", "--format", "session", "--store", store],
        ["run", "--store", store, "--out", folder / "first", "-j", "1"],
    ):
        command = [sys.executable, "-m", "curation", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True)
    (reading_id,) = Store.open(store).reading_ids()
    return store / reading_id


def _clone(template: Path, number: int) -> str:
    """Add a reading of another patient, and return its id."""
    reading_id = _id_of(number)
    folder = template.with_name(reading_id)
    n_before = number - number % LINKS_PER_FILE
    source = template.with_name(_id_of(n_before)) if 0 < n_before < number else template
    take = shutil.copyfile if number == n_before else os.link
    for path in sorted(source.rglob("*.*")):
        if path.is_file() and path.name != "reading.json" and path.parent.name != "images":
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            take(path, target)
    content = json.loads((template / "reading.json").read_bytes())
    content["meta"] |= dict.fromkeys(("reading_id", "patient_key", "study_key"), reading_id)
    content["source_hash"] = hashlib.sha256(reading_id.encode()).hexdigest()
    (folder / "reading.json").write_text(json.dumps(content))
    for path in (template / "images").iterdir():
        film = path.read_bytes()
        other = f"Q{number:07d}x^Zor{number:07d}y"[: len(SYNTHETIC_NAME)].ljust(len(SYNTHETIC_NAME))
        (folder / "images").mkdir(exist_ok=True)
        (folder / "images" / path.name).write_bytes(film.replace(SYNTHETIC_NAME.encode(), other.encode()))
    return reading_id


def _id_of(number: int) -> str:
    return hashlib.sha256(f"reading {number}".encode()).hexdigest()[:16]


def mib(name: str) -> float:
    """Return a figure of this process's memory (Linux): VmHWM, the most it has had, or RssAnon, its own now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


class Watch(threading.Thread):
    """Looks how much memory is the process's own; files that it maps are the system's, which takes them back."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_mib = self.loop_mib = 0.0

    def run(self) -> None:
        """Look for as long as the process lives."""
        while True:
            self.most_mib = max(self.most_mib, mib("RssAnon"))
            time.sleep(LOOK_EVERY_S)

    def progress(self, done: int, total: int) -> None:
        """Note what was most when the last reading was taken in."""
        if done == total:
            self.loop_mib = self.most_mib


def main() -> None:
    """Export a store in this process and print what it took."""
    store = Store.open(Path(sys.argv[1]))
    before = mib("RssAnon")
    watch = Watch()
    watch.start()
    began, cpu_before = time.perf_counter(), time.process_time()
    summary = export_dataset(
        store,
        Path(sys.argv[2]),
        reading_ids=store.reading_ids(),
        config=CurationConfig(),
        progress=watch.progress,
    )
    found = {
        "n": summary.n_readings,
        "s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu_before,
        "mib": watch.most_mib,
        "before_mib": before,
        "loop_mib": watch.loop_mib,
        "mapped_mib": mib("VmHWM"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
