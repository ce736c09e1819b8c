"""Time and memory of key frames, regions and trajectory, one reading at a time.

    python benchmarks/keyframes.py [--shared DIR] [--json]

DIR holds golden/gazex (a reading of 26 s and 4 sentences in the REFLACX layout, for which the published scripts' time
is known); without it a simulated reading of that length stands in. Every line is measured in processes of their own,
on one core: the first call in one that starts with an empty numba cache, the second as the least of some later calls
in another one, in CPU seconds; `MB` is the second one's peak above its memory after the imports, input included. The
picture is decoded and the gaze in arrays; finding regions in the picture is not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
from numpy.typing import NDArray

# This file bears the name of the package that it measures, and Python looks beside a script first.
sys.path[:] = [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]

REPEATS = 15
GOLDEN_ID = "P300R900001"
TABLES = ("gaze", "display", "events", "sentences", "images", "findings", "truth", "regions", "event_regions")
ONE_CORE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)
LARGE_PX = (2500, 3000)
MB = 1024.0 * 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table."""

    name: str
    work: str
    case: str
    published: str
    target_s: float | None = None
    target_mb: float | None = None


def lines(golden: str) -> list[Line]:
    published = "87 s, 2500 MB" if golden == "golden" else "-"
    return [
        Line(
            name=f"profile published, {golden} a",
            work="published",
            case="short",
            published=published,
            target_s=0.25,
            target_mb=150.0,
        ),
        Line(name=f"profile toolkit, {golden} a", work="toolkit", case="short", published="-", target_s=0.10),
        Line(
            name="regions + trajectory, 60 s", work="trajectory", case="long", published="-", target_s=0.020
        ),
        Line(
            name="profile toolkit, 60 s of 2500 x 3000",
            work="toolkit",
            case="long",
            published="-",
            target_mb=300.0,
        ),
        Line(
            name="profile published, 60 s of 2500 x 3000",
            work="published",
            case="long",
            published="-",
            target_mb=300.0,
        ),
    ]


# The measured process: it imports `keyframes` only.


def work_of(name: str, tables: Mapping[str, pa.Table], grey8: NDArray[np.uint8]) -> Callable[[], object]:
    """Return what is measured, all that it needs imported; loading is not part of it."""
    if name == "trajectory":
        return _trajectory_work(tables)
    from keyframes.frames import toolkit_keyframes
    from keyframes.published import published_keyframes
    from keyframes.render import FramePainter

    pictures = {0: grey8}

    def keyframes() -> object:
        if name == "published":
            made = published_keyframes(
                tables["gaze"], tables["sentences"], tables["images"], events=tables["events"]
            )
        else:
            made = toolkit_keyframes(
                *(tables[t] for t in ("events", "sentences", "gaze", "display", "images"))
            )
        rows = made.to_pylist()
        painter = FramePainter(pictures, rows, tables["events"], tables["gaze"])
        return [painter.paint(row) for row in rows if row["image_index"] in pictures]

    return keyframes


def _trajectory_work(tables: Mapping[str, pa.Table]) -> Callable[[], object]:
    from keyframes.fixations import Fixations
    from keyframes.inspection import inspection_summary, letter_coverage, region_coverage, transitions
    from keyframes.lesions import lesion_gaze
    from keyframes.regions.assignment import assign_regions, region_maps, region_table
    from keyframes.regions.schemes import load_scheme
    from keyframes.trajectory import inspection_trajectory

    scheme = load_scheme()
    sizes = {row["image_index"]: (row["width_px"], row["height_px"]) for row in tables["images"].to_pylist()}
    maps = region_maps(tables["regions"], sizes)
    events, gaze = tables["events"], tables["gaze"]

    def trajectory() -> object:
        assigned = assign_regions(events, gaze, maps, scheme)
        visits = inspection_trajectory(events, assigned)
        fixations = Fixations.of(events, gaze)
        covered = region_coverage(fixations, maps, scheme)
        return (
            region_table(maps, scheme),
            letter_coverage(visits, fixations, maps, scheme),
            transitions(visits, scheme),
            inspection_summary(visits, covered, scheme),
            lesion_gaze(fixations, tables["truth"], tables["findings"]),
        )

    return trajectory


def measure(name: str, case: Path) -> dict[str, float]:
    """Run in a fresh process: CPU s of the first call and the least of the next, and MB above the imports."""
    empty = {t: feather.read_table(case / f"{t}.feather", memory_map=False).slice(0, 0) for t in TABLES}
    work_of(name, empty, np.zeros((8, 8), np.uint8))
    imported = _peak_bytes()
    tables = {t: feather.read_table(case / f"{t}.feather", memory_map=False) for t in TABLES}
    work = work_of(name, tables, np.load(case / "grey8.npy"))
    taken = []
    for _ in range(1 + REPEATS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return {"first_s": taken[0], "second_s": min(taken[1:]), "mb": (_peak_bytes() - imported) / MB}


def _peak_bytes() -> float:
    """Return the most memory that this process has had; Linux's getrusage also knows that of the one it came from."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found is not None  # noqa: S101 - the kernel says so
        return 1024.0 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) if sys.platform == "darwin" else 1024.0 * peak


# The process that prepares the readings and starts the others.


def golden_case(shared: Path, folder: Path) -> None:
    from curation.ingest.reflacx import ReflacxIngester

    root = shared / "golden" / "gazex"
    ingester = ReflacxIngester(images=root / "images")
    for unit in ingester.find(root):
        for found in ingester.readings(unit, key=b"benchmark"):
            if found.label == GOLDEN_ID and found.reading is not None:
                _write_case(found.reading, found.images, folder)
                return
    raise SystemExit(f"{root} does not hold reading {GOLDEN_ID}")


def simulated_case(folder: Path, *, duration_s: float, seed: int) -> None:
    from curation.ingest.session import SessionIngester
    from gazecapture.demo.studies import write_demo_studies
    from gazecapture.simulation.offline import simulate_session

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_demo_studies(root / "studies", n_studies=1, seed=seed, size_px=LARGE_PX)
        simulate_session(
            root / "sessions" / "R01",
            root / "studies",
            reader_seed=seed,
            truth_dir=root / "truth",
            rate_hz=1000.0,
            duration_s=duration_s,
        )
        ingester = SessionIngester()
        (unit,) = ingester.find(root / "sessions")
        (found,) = ingester.readings(unit, key=b"benchmark")
        if found.reading is None:
            raise SystemExit("the simulated session gave no reading")
        _write_case(found.reading, found.images, folder)


def _write_case(reading: Any, images: Mapping[int, Path], folder: Path) -> None:
    from curation.config import CurationConfig
    from curation.stages import stage_named
    from curation.stages.protocol import StageContext
    from gazecapture.radiograph.decode import load_radiograph

    files = {
        row["image_index"]: "picture"
        for row in reading.table("images").to_pylist()
        if row["image_index"] in images
    }
    rows = [{**row, "file": files.get(row["image_index"])} for row in reading.table("images").to_pylist()]
    reading = reading.with_tables(images=pa.Table.from_pylist(rows, schema=reading.table("images").schema))
    context = StageContext(config=CurationConfig(), image_path=images.get)
    for name in ("dictation", "events", "regions"):
        reading = reading.with_tables(**stage_named(name).run(reading, context).tables)
    folder.mkdir()
    for name in TABLES:
        feather.write_feather(reading.table(name), folder / f"{name}.feather", compression="uncompressed")
    np.save(folder / "grey8.npy", load_radiograph(images[0]).grey8())


def in_a_process(line: Line, cases: Path, cache: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", line.work, "--case", str(cases / line.case)]
    environment = {**os.environ, **ONE_CORE, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(shared: Path | None) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        if shared is None:
            simulated_case(root / "short", duration_s=26.0, seed=1)
        else:
            golden_case(shared, root / "short")
        simulated_case(root / "long", duration_s=60.0, seed=2)
        for number, line in enumerate(lines("simulated reading" if shared is None else "golden")):
            cold = in_a_process(line, root, root / f"cache-{number}")
            warm = in_a_process(line, root, root / f"cache-{number}")
            rows.append(
                {
                    "measure": line.name,
                    "published_scripts": line.published,
                    "second_s": warm["second_s"],
                    "target_s": line.target_s,
                    "mb": warm["mb"],
                    "target_mb": line.target_mb,
                    "first_cold_cache_s": cold["first_s"],
                    "first_warm_cache_s": warm["first_s"],
                }
            )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(
        "| measure | published scripts | second call, CPU ms | target | MB | target | first call, cold cache | warm |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        target_ms = "-" if row["target_s"] is None else f"{1000 * row['target_s']:.0f}"
        target_mb = "-" if row["target_mb"] is None else f"{row['target_mb']:.0f}"
        print(
            f"| {row['measure']} | {row['published_scripts']} | {1000 * row['second_s']:.1f} | {target_ms} "
            f"| {row['mb']:.0f} | {target_mb} | {row['first_cold_cache_s']:.2f} s | {row['first_warm_cache_s']:.2f} s |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder with golden/gazex in it")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.case)))
        return
    rows = run(arguments.shared)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
