"""kill -9 while one dataset takes the place of another: the folder is the one or the other, whatever the moment."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curation.export import switch as switching
from curation.export.switch import MANIFEST, complete_switch, remove_dataset, staging_folder, switch

CHILD = """
import shutil, sys
from pathlib import Path
from curation.export import switch as switching
root, in_one_step = Path(sys.argv[1]), sys.argv[2] == "True"
if not in_one_step:
    switching._EXCHANGES = {}
n = 0
while True:
    n += 1
    staging = switching.staging_folder(root / "out")
    shutil.copytree(root / "ab"[n % 2], staging, dirs_exist_ok=True)
    switching.switch(staging, root / "out")
    print(n, flush=True)
"""


def dataset(folder: Path, letter: str, parts: tuple[str, ...]) -> Path:
    files = [f"{part}/{number}.bin" for part in parts for number in range(6)] + ["README.md"]
    entries = []
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{letter} {name}" * 50)
        entries.append({"path": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    (folder / MANIFEST).write_text(json.dumps({"key": letter, "files": entries}))
    return folder


def key_of_whole(out: Path) -> str:
    """Return which dataset lies in a folder, after a look that it is all there and nothing of the other is."""
    manifest = json.loads((out / MANIFEST).read_bytes())
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    there = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and not path.relative_to(out).parts[0].startswith(".")
    }
    assert there.pop("notes of mine.txt") == hashlib.sha256(b"mine").hexdigest()
    there.pop(MANIFEST)
    assert there == listed
    return str(manifest["key"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    dataset(tmp_path / "a", "a", ("readings", "images", "views"))
    dataset(tmp_path / "b", "b", ("readings", "hdf5", "samples"))
    out = dataset(tmp_path / "out", "a", ("readings", "images", "views"))
    (out / ".gazecapture").write_text("dataset\n")
    (out / "notes of mine.txt").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("in_one_step", [True, False])
def test_it_is_the_one_or_the_other(place: Path, in_one_step: bool) -> None:
    """The moment is chosen among two switches, and tried again until both datasets have been found in place."""
    moments = random.Random(7)
    keys: set[str] = set()
    n_killed = 0
    while n_killed < 8 or (len(keys) < 2 and n_killed < 40):
        command = [sys.executable, "-c", CHILD, str(place), str(in_one_step)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for number in range(1, 2 + n_killed % 2):
            assert child.stdout.readline() == f"{number}\n"
        time.sleep(moments.uniform(0.0, 0.03))
        child.kill()
        child.communicate()
        n_killed += 1
        if in_one_step and (place / "out" / "notes of mine.txt").exists():
            key_of_whole(place / "out")  # before anybody tidied up
        complete_switch(place / "out")
        keys.add(key_of_whole(place / "out"))
        assert (place / "out" / ".gazecapture").read_text() == "dataset\n"
        assert {path.name for path in place.iterdir()} == {"a", "b", "out"}
    assert keys == {"a", "b"}


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_removed_dataset_leaves_what_is_not_its_own(
    place: Path, in_one_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_one_step:
        monkeypatch.setattr(switching, "_EXCHANGES", {})
    remove_dataset(place / "out")
    assert {path.name for path in (place / "out").iterdir()} == {".gazecapture", "notes of mine.txt"}
    assert {path.name for path in place.iterdir()} == {"a", "b", "out"}


def test_a_folder_beside_it_that_only_looks_alike_stays(place: Path) -> None:
    (place / ".out.mine.partial").mkdir()
    (place / ".other.0123abcd.partial").mkdir()
    switch(dataset(staging_folder(place / "out"), "c", ("readings",)), place / "out")
    complete_switch(place / "out")
    assert key_of_whole(place / "out") == "c"
    assert (place / ".out.mine.partial").is_dir()
    assert (place / ".other.0123abcd.partial").is_dir()
