"""What it costs to ingest a corpus without gaze, and that memory does not grow with it.

    python benchmarks/corpora.py [--studies 20000] [--pictures 2000]

Writes a corpus in the layout of MIMIC-CXR-JPG (tables, a report per study, pictures for the first ones), ingests it
into a store, and ingests it again with nothing changed. All of it is synthetic. Times are CPU time of one process;
each pass is a process of its own, for its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from PIL import Image

from tests.corpora_fixture import LABELS, REPORT, write_packed

INGEST = """
import json, resource, sys, time
from pathlib import Path
from curation.ingest.into_store import INGESTERS, ingest
from gazecapture.store import Store
ingester = INGESTERS["mimic-cxr"]
marks, every = [], int(sys.argv[3])
started = time.process_time()
def progress(done, total, failed):
    if done // every > len(marks):
        marks.append([done, time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024])
summary = ingest(Store.create(Path(sys.argv[2])), ingester, ingester.find(Path(sys.argv[1])), progress=progress)
print(json.dumps({"marks": marks, "s": time.process_time() - started, "failed": len(summary.failed),
                  "added": len(summary.added), "unchanged": len(summary.unchanged),
                  "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=2_000, help="studies that have their picture")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, store = Path(folder) / "corpus", Path(folder) / "store"
        write_corpus(corpus, args.studies, args.pictures)
        for name in ("first pass", "nothing changed"):
            found = json.loads(
                subprocess.run(
                    [sys.executable, "-c", INGEST, str(corpus), str(store), str(max(1, args.studies // 4))],
                    capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
                ).stdout
            )  # fmt: skip
            print(
                f"{name}: {found['added']} added, {found['unchanged']} unchanged, {found['failed']} failed; "
                f"{found['s']:.1f} CPU-s, {args.studies / found['s']:.0f} studies per CPU-s"
            )
            for done, seconds, mib in found["marks"]:
                print(f"  {done:>8} studies  {seconds:>8.1f} CPU-s  {mib:>7.0f} MiB")


def write_corpus(root: Path, n_studies: int, n_pictures: int) -> None:
    """Write one frontal film per study; the pictures are one file under many names."""
    root.mkdir(parents=True)
    film = root / "film.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256), np.uint8)).save(film)
    metadata, splits, labels = [], [], []
    for n in range(n_studies):
        subject, study, dicom_id = f"{10_000_000 + n // 3}", f"{50_000_000 + n}", f"{n:08x}-0-0-0-0"
        metadata.append((dicom_id, subject, study, "", "PA", 256, 256, "21800101", "120000.0"))
        splits.append((dicom_id, study, subject, "test" if n % 30 == 0 else "train"))
        labels.append((subject, study, "1.0", "", "0.0", "-1.0"))
        folder = root / "files" / f"p{subject[:2]}" / f"p{subject}"
        (folder / f"s{study}").mkdir(parents=True, exist_ok=True)
        (folder / f"s{study}.txt").write_text(REPORT)
        if n < n_pictures:
            os.link(film, folder / f"s{study}" / f"{dicom_id}.jpg")
    write_packed(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        ("dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
         "StudyDate", "StudyTime"),
        metadata,
    )  # fmt: skip
    write_packed(
        root / "mimic-cxr-2.0.0-split.csv.gz", ("dicom_id", "study_id", "subject_id", "split"), splits
    )
    write_packed(root / "mimic-cxr-2.0.0-chexpert.csv.gz", ("subject_id", "study_id", *LABELS), labels)


if __name__ == "__main__":
    main()
