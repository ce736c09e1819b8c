"""Export of ever more readings: memory must stay, time must grow in step.

Each reading has 4 s of simulated gaze, a film of 160 px whose header names another patient, and all stages done. Only
the first is made that way; the others link its tables and have ids, picture and header of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from export_data import Row

from curation.config import CurationConfig
from curation.export.dataset import export_dataset
from gazecapture.demo.studies import write_demo_studies
from gazecapture.radiograph.synthetic import SYNTHETIC_NAME
from gazecapture.simulation.offline import simulate_session
from gazecapture.store import Store

TARGET_MIB, TARGET_READINGS = 1024, 100_000
LINEAR_SLACK = 1.25
"""Time per reading of the largest export over that of the smallest: beyond it time does not grow in step."""
SIZE_PX = (160, 192)
DURATION_S, RATE_HZ = 4.0, 60.0
LINKS_PER_FILE = 50_000
"""Some file systems allow 65,000 names of a file."""


def measure(folder: Path, sizes: Sequence[int]) -> Iterator[Row]:
    """Give seconds and memory of one export process for each size, and what they make of the target."""
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
        shutil.rmtree(folder / "dataset")
        one = json.loads(done.stdout.splitlines()[-1])
        found.append(one)
        yield Row(
            measure=f"export of {one['n']:,} readings",
            measured=f"{one['s']:.0f} s, {1e3 * one['s'] / one['n']:.1f} ms for each, {one['mib']:.0f} MiB "
            f"(before the first reading {one['before_mib']:.0f})",
        )
    first, last = found[0], found[-1]
    growth = (last["s"] / last["n"]) / (first["s"] / first["n"])
    yield Row(
        measure=f"time in step with readings, {first['n']:,} to {last['n']:,}",
        target=f"<= {LINEAR_SLACK} x for each",
        measured=f"{growth:.2f} x",
        met=growth <= LINEAR_SLACK,
    )
    whole = last["n"] >= TARGET_READINGS
    per_reading = (last["mib"] - first["mib"]) / max(last["n"] - first["n"], 1)
    expected = last["mib"] + max(per_reading, 0.0) * max(TARGET_READINGS - last["n"], 0)
    yield Row(
        measure=f"memory of {TARGET_READINGS:,} readings" + ("" if whole else ", drawn on from these"),
        target=f"<= {TARGET_MIB} MiB",
        measured=f"{expected:.0f} MiB ({1024 * per_reading:.2f} KiB for each reading more)",
        met=expected <= TARGET_MIB,
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


def _most_mib() -> float:
    """Return the most memory that this process has had (Linux); `resource` would count the parent's as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Export a store in this process and print what it took."""
    store = Store.open(Path(sys.argv[1]))
    before = _most_mib()
    began = time.perf_counter()
    summary = export_dataset(
        store, Path(sys.argv[2]), reading_ids=store.reading_ids(), config=CurationConfig()
    )
    seconds = time.perf_counter() - began
    print(json.dumps({"n": summary.n_readings, "s": seconds, "mib": _most_mib(), "before_mib": before}))


if __name__ == "__main__":
    main()
