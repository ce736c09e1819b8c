"""What an export keeps of each reading until its end, held for as many readings as the target names, and scanned for.

The rows themselves go reading by reading, which `export_scale` measures. What stays (the plan, what the last scan looks
for, the manifest's entries) is made here for 100,000 readings at once, with the names, ids and hashes that one film
with a full header gives; then the last scan looks through a small dataset for all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from export_data import Row, rows, write_hdf5, write_parquet
from export_scale import TARGET_MIB, TARGET_READINGS, Watch, mib

from curation.consent import Permission
from curation.export.card import ReadingFacts
from curation.export.plan import ExportPlan
from curation.export.scan import scan_output
from curation.export.write import LeftBehind
from curation.privacy import Identifiers
from gazecapture.session.consent import SCOPES

UIDS, IDS, CODES = 3, 3, 4
"""Of a reading: study, series and object; patient, accession and device; its sources and what replaced codes were."""


def measure(folder: Path) -> Iterator[Row]:
    """Give the memory of a process that keeps what so many readings leave behind and scans for it."""
    given = [row | {"images": [], "keyframes": []} for row in rows(8)]  # its pictures are no pictures
    write_parquet(folder, given)
    write_hdf5(folder, given)
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        stdout=subprocess.PIPE, check=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    each_kib = (found["most_mib"] - found["before_mib"]) * 1024 / TARGET_READINGS
    yield Row(
        measure=f"what {TARGET_READINGS:,} readings leave until the end",
        target=f"<= {TARGET_MIB} MiB with a loop",
        measured=f"{found['kept_mib'] - found['before_mib']:.0f} MiB kept, "
        f"{found['most_mib'] - found['before_mib']:.0f} while it is scanned for: {each_kib:.1f} KiB for each",
    )


def _of_reading(number: int) -> tuple[str, Identifiers, set[str]]:
    def digits(kind: str) -> str:
        return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()

    uids = {f"1.2.826.0.1.{int(digits(f'uid {one}')[:32], 16)}" for one in range(UIDS)}
    ids = {f"{digits(f'id {one}')[:10]}".upper() for one in range(IDS)}
    names = frozenset({f"Q{number:07d}x^Zor{number:07d}y"})
    codes = {digits(f"code {one}") for one in range(CODES)}
    return digits("reading")[:16], Identifiers(names=names, ids=frozenset(uids | ids)), codes


def main() -> None:
    """Keep, scan, print."""
    folder = Path(sys.argv[1])
    before = mib("RssAnon")
    watch = Watch()
    watch.start()
    removed, facts, permissions, files = LeftBehind(), [], {}, []
    for number in range(TARGET_READINGS):
        reading_id, identifiers, codes = _of_reading(number)
        removed.identifiers[reading_id] = identifiers
        removed.codes |= codes
        permissions[reading_id] = Permission(scopes=frozenset(list(SCOPES)), tier="open")
        facts.append(
            ReadingFacts(
                source_format="session", source_licence="", synthetic=False, reader_code="R01",
                study_key=sys.intern(hashlib.sha256(f"study {number}".encode()).hexdigest()[:16]),
            )
        )  # fmt: skip
        digest = hashlib.sha256(reading_id.encode()).hexdigest()
        files.append({"path": f"images/{reading_id}_0.dcm", "bytes": 10_000_000 + number, "sha256": digest})
    plan = ExportPlan(
        reading_ids=tuple(permissions), split_of=dict.fromkeys(permissions, "train"), permissions=permissions,
        held_back={}, tier="open", repeat_of={}, picture_salt="", key="",
    )  # fmt: skip
    kept = mib("RssAnon")
    hits = scan_output(folder, removed.identifiers, ["/home/somebody/store"], codes=removed.codes)
    if hits or not (len(plan.reading_ids) == len(facts) == len(files) == TARGET_READINGS):
        raise RuntimeError(f"found: {hits[:3]}")
    print(json.dumps({"before_mib": before, "kept_mib": kept, "most_mib": watch.most_mib}))


if __name__ == "__main__":
    main()
