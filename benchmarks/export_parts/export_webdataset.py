"""Run by export_read.py in a Python that has webdataset: write records as a tar, or read it once and print seconds.

A record is one sample: its picture as ``png`` and the rest as ``json``. Neither is decoded.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import webdataset  # type: ignore[import-not-found]  # of another environment

PICTURE_BYTES = 79_000


def main() -> None:
    mode, folder, tar = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    texts = (folder / "records.jsonl").read_bytes().splitlines()
    if mode == "write":
        with (folder / "pictures.bin").open("rb") as pictures, webdataset.TarWriter(tar) as writer:
            for number, text in enumerate(texts):
                writer.write({"__key__": f"{number:08d}", "png": pictures.read(PICTURE_BYTES), "json": text})
        print(json.dumps({"version": f"webdataset {webdataset.__version__}"}))
        return
    began = time.perf_counter()
    n = sum(len(sample["png"]) == PICTURE_BYTES for sample in webdataset.WebDataset(tar, shardshuffle=False))
    seconds = time.perf_counter() - began
    if n != len(texts):
        raise SystemExit(f"{n} of {len(texts)} records were read")
    print(json.dumps({"s": seconds}))


if __name__ == "__main__":
    main()
