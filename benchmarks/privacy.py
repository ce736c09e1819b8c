"""What privacy costs per reading beside the copy of the pixels, and what the detector of burned-in text finds.

    python benchmarks/privacy.py [--films FOLDER] [--size 2048x2500] [--films-made 4] [--scanned 10 60]

Prints what each part costs and what is found. Phantoms stand for films; --films takes a folder of radiographs. Times
are CPU time of one process.

The last scan is measured on datasets of two sizes, whose rows are those of two simulated readings, each under as many
ids as it takes: what a shard costs, and what each further reading does.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from curation.cli import cli
from curation.config import CurationConfig, ExportConfig
from curation.consent import Permission
from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.originals import write_original
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.pictures import encode_png
from curation.export.place import private_strings
from curation.export.scan import scan_output
from curation.export.shards import RowBatches
from curation.export.tables import write_tables
from curation.privacy import Identifiers, Redactor, RowGuard, load_lexicon
from curation.privacy.narrowing import narrowed
from gazecapture.console import run_command
from gazecapture.demo.studies import write_demo_studies
from gazecapture.radiograph.burned_in import find_burned_in_text
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.session.consent import SCOPES
from gazecapture.simulation.offline import simulate_session
from gazecapture.store import KeyedHash, Store

Grey = NDArray[np.uint8]
FONTS = ("DejaVuSansMono.ttf", "DejaVuSans.ttf", "DejaVuSerif.ttf")
TEXTS = ("DOE JANE 1949", "MRN 4711923", "12/03/2021")
HEIGHTS_PX = (10, 13, 16, 24, 40)
"""Of capitals."""
CAPITAL_SHARE = 0.73
"""Height of a capital in these typefaces, of the size that they are asked for by."""


def cpu_ms(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median CPU time, after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append((time.process_time() - started) * 1e3)
    return statistics.median(times)


def with_text(grey8: Grey, text: str, font_name: str, size_px: int, random: np.random.Generator) -> Grey:
    """Return the picture with a line of text somewhere along its edges."""
    font = ImageFont.truetype(
        str(Path(mpl.get_data_path()) / "fonts" / "ttf" / font_name), round(size_px / CAPITAL_SHARE)
    )
    picture = Image.fromarray(grey8)
    _, _, wide, high = (int(n) for n in font.getbbox(text))
    x = int(random.integers(10, max(11, picture.width - wide - 10)))
    y = int(random.choice([10, picture.height - high - 10]))
    ImageDraw.Draw(picture).text((x, y), text, fill=int(random.choice([255, 200])), font=font)
    return np.asarray(picture)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--size", default="2048x2500")
    parser.add_argument("--films-made", type=int, default=4)
    parser.add_argument("--scanned", type=int, nargs=2, default=(10, 60))
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = sorted(p for p in options.films.rglob("*") if p.is_file()) if options.films else []
        for seed in range(0 if paths else options.films_made):
            phantom = make_phantom(seed, findings=["Support Devices"] * (seed % 2), size_px=(width, height))
            paths.append(root / f"{seed}.dcm")
            write_dicom(phantom, paths[-1], patient_id=f"SYN{seed}", study_uid_seed=seed)
        per_film_ms = _costs(paths, root)
        per_reading_ms = _row_costs(root, (width, height), options.scanned)
        print(
            f"{'all beside the copy of the pixels':<34} per reading of one film: {per_film_ms + per_reading_ms:5.1f} ms"
        )
        _recall([load_radiograph(path).grey8() for path in paths])


def _costs(paths: list[Path], root: Path) -> float:
    """Print what the films take; return the median per film, ms."""
    pseudonym = KeyedHash(b"k" * 32)
    print(f"{'film':<28}{'px':>12}{'text ms':>9}{'original ms':>12}{'copy ms':>9}{'header ms':>10}")
    text_ms, header_ms = [], []
    for path in paths:
        grey8 = load_radiograph(path).grey8()
        text_ms.append(cpu_ms(partial(find_burned_in_text, grey8)))
        wanted = partial(write_original, path, root / "out", patient="p", pseudonym=pseudonym)
        original, copy = cpu_ms(wanted, repeats=3), cpu_ms(partial(_copied, path, root / "copy"), repeats=3)
        header_ms.append(max(original - copy, 0.0))
        size = f"{grey8.shape[1]}x{grey8.shape[0]}"
        print(
            f"{path.name[:27]:<28}{size:>12}{text_ms[-1]:9.1f}{original:12.1f}{copy:9.1f}{header_ms[-1]:10.1f}"
        )
    for name, times in (("text in the pixels", text_ms), ("header made anew", header_ms)):
        print(f"{name:<34} per film: median {statistics.median(times):5.1f} ms, most {max(times):5.1f} ms")
    return statistics.median(text_ms) + statistics.median(header_ms)


def _copied(path: Path, target: Path) -> int:
    """Copy the pixels alone: decoded, and written as they are (what is no DICOM as PNG)."""
    if path.suffix.lower() != ".dcm":
        return target.write_bytes(encode_png(load_radiograph(path).grey8()))
    return target.write_bytes(np.ascontiguousarray(pydicom.dcmread(path).pixel_array).data)


def _row_costs(root: Path, size_px: tuple[int, int], scanned: Sequence[int]) -> float:
    """Print what narrowing, the row's guard and the last scan take; return their sum per reading, ms."""
    studies, sessions, store, out = (root / name for name in ("studies", "sessions", "store", "dataset"))
    write_demo_studies(studies, n_studies=2, seed=3, size_px=size_px)
    simulate_session(
        sessions / "R01", studies, reader_seed=1, reader_code="R01", truth_dir=root / "truth", rate_hz=1000.0
    )
    stored = ["--store", str(store)]
    for command in (
        ["ingest", str(sessions), "--format", "session", *stored],
        ["run", *stored, "--out", str(out), "-j", "1"],
    ):
        if run_command(cli, command) != 0:
            raise RuntimeError(f"gazecurate {command[0]} failed")
    opened, config = Store.open(store), CurationConfig()
    readings = [opened.load(reading_id) for reading_id in opened.reading_ids()]
    everything = Permission(scopes=frozenset(SCOPES), tier="open")
    rows = [row for path in (out / "readings").iterdir() for row in pq.read_table(path).to_pylist()]
    names = Identifiers(names=frozenset({"Okonkwo^Adaeze"}), ids=frozenset({"MRN4711923"}))

    def guarded(row: dict[str, Any]) -> dict[str, Any]:
        redactor = Redactor(identifiers=names, lexicon=load_lexicon())
        return RowGuard(redactor=redactor, keyed_hash=opened.keyed_hash)(row)

    steps: dict[str, Callable[[], object]] = {
        "narrowing": lambda: [narrowed(r, everything, config.privacy.gaze_tier) for r in readings],
        "row guard, texts redacted": lambda: [guarded(row) for row in rows],
    }
    per_reading_ms = 0.0
    for name, work in steps.items():
        each_ms = cpu_ms(work) / len(readings)
        per_reading_ms += each_ms
        print(f"{name:<34} per reading: {each_ms:5.1f} ms")
    private = private_strings(opened, config)
    scans_ms = {}
    for n_readings in scanned:
        dataset = root / f"of {n_readings}"
        ids = _multiplied(out, dataset, rows, n_readings)
        sought = {
            reading_id: Identifiers(
                names=frozenset({f"Okonkwo{number}^Adaeze"}), ids=frozenset({f"MRN471{number:06}"})
            )
            for number, reading_id in enumerate(ids)
        }
        scans_ms[n_readings] = cpu_ms(partial(scan_output, dataset, sought, private), repeats=3)
        print(f"the last scan of {n_readings} readings: {scans_ms[n_readings]:6.0f} ms")
        shutil.rmtree(dataset)
    few, many = scanned
    further_ms = (scans_ms[many] - scans_ms[few]) / (many - few)
    print(f"{'  of which fixed':<34} per dataset: {scans_ms[few] - few * further_ms:5.0f} ms")
    print(f"{'  of which grows':<34} per reading: {further_ms:5.1f} ms")
    return per_reading_ms + scans_ms[many] / many


def _multiplied(source: Path, target: Path, rows: list[dict[str, Any]], n_readings: int) -> list[str]:
    """Write a dataset of that many readings: a shard in either format, originals, tables; return their ids."""
    for part in ("readings", "hdf5", "images"):
        (target / part).mkdir(parents=True)
    stem, ids = "train-00000-of-00001", []
    sizes = ExportConfig()
    with RowBatches(
        ParquetShardWriter(
            target / "readings" / f"{stem}.parquet",
            row_group_bytes=sizes.row_group_mib << 20,
            row_group_rows=sizes.row_group_rows,
        ),
        Hdf5ShardWriter(target / "hdf5" / f"{stem}.h5"),
    ) as batches:
        for number, row in zip(range(n_readings), itertools.cycle(rows), strict=False):
            before, now = row["reading_id"], hashlib.sha256(f"{number}".encode()).hexdigest()[:16]
            batches.add(_renamed(row, before, now))
            for path in (source / "images").glob(f"{before}_*"):
                shutil.copyfile(path, target / "images" / path.name.replace(before, now))
            ids.append(now)
    write_tables(target)
    for path in source.iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    return ids


def _renamed(value: Any, before: str, now: str) -> Any:
    if isinstance(value, str):
        return value.replace(before, now)
    if isinstance(value, dict):
        return {name: _renamed(member, before, now) for name, member in value.items()}
    return [_renamed(member, before, now) for member in value] if isinstance(value, list) else value


def _recall(films: list[Grey]) -> None:
    clean = [grey8 for grey8 in films if not find_burned_in_text(grey8)]
    print(f"films without text that the detector calls clean: {len(clean)} of {len(films)}")
    print(f"{'letters px':<12}{'lines':>7}{'found':>7}")
    for size_px in HEIGHTS_PX:
        random = np.random.default_rng(size_px)
        found = [
            bool(find_burned_in_text(with_text(grey8, text, font, size_px, random)))
            for grey8 in clean[:6]
            for text in TEXTS
            for font in FONTS
        ]
        print(f"{size_px:<12}{len(found):>7}{sum(found) / max(len(found), 1):>7.2f}")


if __name__ == "__main__":
    main()
