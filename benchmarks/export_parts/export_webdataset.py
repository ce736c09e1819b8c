"""Run by export_read.py in a Python that has webdataset: write rows as a tar, read it, print bytes and seconds.

A row is one sample: its pictures as ``0.png`` to ``10.png`` and the rest as ``json``. Pictures are not decoded.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

ROUNDS = 3
PICTURES_PER_ROW, PICTURE_BYTES = 11, 79_000


def main() -> None:
    import webdataset  # type: ignore[import-not-found]  # of another environment

    folder, n_rows = Path(sys.argv[1]), int(sys.argv[2])
    rows = (folder / "rows.jsonl").read_text().splitlines()
    some = random.Random(0)
    pictures = [some.randbytes(PICTURE_BYTES) for _ in range(64)]
    tar = folder / "rows.tar"
    with webdataset.TarWriter(str(tar)) as writer:
        for number in range(n_rows):
            sample: dict[str, str | bytes] = {"__key__": f"{number:08d}", "json": rows[number].encode()}
            for place in range(PICTURES_PER_ROW):
                sample[f"{place}.png"] = pictures[(number + place) % len(pictures)]
            writer.write(sample)
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = sum(1 for _ in webdataset.WebDataset(str(tar), shardshuffle=False))
        seconds.append(time.perf_counter() - began)
        if found != n_rows:
            raise SystemExit(f"{found} of {n_rows} rows were read")
    version = f"webdataset {webdataset.__version__}"
    print(json.dumps({"bytes": tar.stat().st_size, "s": min(seconds), "version": version}))


if __name__ == "__main__":
    main()
