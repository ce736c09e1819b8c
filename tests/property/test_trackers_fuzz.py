"""Damaged files of trackers: a coded error or a clean table, never a traceback; in strict and tolerant reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gazecapture.trackers import PARSERS
from tests.contract.test_trackers import WRITERS, check_clean, main_file, outcome
from tests.trackers_fixture import synthetic_eyes

EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = list(WRITERS)
_FORMAT = {"neon cloud": "neon"}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[Path, bytes]]]:
    """One recording per format with the contents of its files."""
    found = {}
    for name, write in WRITERS.items():
        path = write(tmp_path_factory.mktemp("fuzz"), synthetic_eyes(n=150))
        files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix != ".json")
        found[name] = path, {file: file.read_bytes() for file in files}
    return found


def read_damaged(name: str, path: Path, *, tolerant: bool) -> None:
    parser = next(p for p in PARSERS if p.format == _FORMAT.get(name, name))
    found = outcome(lambda: parser.read(path, tolerant=tolerant))
    if found is not None:
        check_clean(found)


def damaged(
    originals: dict[str, tuple[Path, dict[Path, bytes]]],
    name: str,
    change: Callable[[bytes], bytes],
    which: int,
) -> Path:
    path, files = originals[name]
    for file, content in files.items():
        file.write_bytes(content)
    file = list(files)[which % len(files)] if which else main_file(path)
    file.write_bytes(change(files[file]))
    return path


WHICH = st.integers(0, 12)
"""Which file of a recording of several; 0 is the one with the samples."""
JUNK = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"\n", b"\t\t\t", b"START\t1 LEFT\n", b"END\n", b'"', b"1e999\t", b"-", b"\0" * 9, b"9" * 400,
         b"MSG\t5 GAZE_COORDS 9 9 1 1\n", b"SAMPLES\n", b"\xff\xfe", b",,,\n"]
    ),
)  # fmt: skip
FLIPS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=6)


@pytest.mark.parametrize("name", NAMES)
@EXAMPLES
@given(flips=FLIPS, which=WHICH, tolerant=st.booleans())
def test_flipped_bits(
    originals: dict[str, tuple[Path, dict[Path, bytes]]],
    name: str,
    flips: list[tuple[float, int]],
    which: int,
    tolerant: bool,
) -> None:
    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        for share, bit in flips:
            if changed:
                changed[min(int(share * len(changed)), len(changed) - 1)] ^= 1 << bit
        return bytes(changed)

    read_damaged(name, damaged(originals, name, flip, which), tolerant=tolerant)


@pytest.mark.parametrize("name", NAMES)
@EXAMPLES
@given(
    start=st.floats(0, 1),
    length=st.integers(0, 400),
    junk=JUNK,
    again=st.booleans(),
    which=WHICH,
    tolerant=st.booleans(),
)
def test_pieces_cut_out_put_in_or_repeated(
    originals: dict[str, tuple[Path, dict[Path, bytes]]],
    name: str,
    start: float,
    length: int,
    junk: bytes,
    again: bool,
    which: int,
    tolerant: bool,
) -> None:
    def cut(content: bytes) -> bytes:
        at = int(start * len(content))
        return content[:at] + junk + (content[max(0, at - length) :] if again else content[at + length :])

    read_damaged(name, damaged(originals, name, cut, which), tolerant=tolerant)


@pytest.mark.parametrize("name", ["eyelink-asc", "tobii-tsv"])
@EXAMPLES
@given(
    content=st.one_of(st.binary(max_size=300), st.text(alphabet="START END\t\n.0123,LRMSG*", max_size=300))
)
def test_anything_at_all(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes | str) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    read_damaged(name, path, tolerant=True)
