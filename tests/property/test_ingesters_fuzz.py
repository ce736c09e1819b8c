"""Damaged sources: every ingester gives a coded error or a clean reading, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.ingest.protocol import TakesTrials
from keyframes.errors import GazeToolError
from tests.contract.test_ingesters import KEY, SOURCES, check_clean
from tests.hostile.test_text import NO_RECORDS
from tests.ingest_fixture import Source

EXAMPLES = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JUNK = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [
            b"1e400",
            b"nan",
            b"-",
            b",,,,",
            b'"',
            b"\0",
            b"\r\n",
            b"\xff\xfe",
            b"9" * 40,
            b"-1e308",
            b"{",
            b"[[[[",
            b"[" * 5000,
            b"x" * 200_000,
            b"\0" * 64,
        ]
    ),
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Source, dict[Path, bytes]]]:
    """One source per format, with the contents of its text and binary files."""
    found = {}
    for name, write in SOURCES.items():
        root = tmp_path_factory.mktemp("fuzz")
        source = write(root)
        files = [p for p in sorted(root.rglob("*")) if p.is_file() and p.suffix not in (".png", ".jpg")]
        found[name] = source, {file: file.read_bytes() for file in files}
    return found


@pytest.mark.parametrize("name", list(SOURCES))
@EXAMPLES
@given(
    which=st.integers(0, 30),
    place=st.floats(0, 1),
    early=st.booleans(),
    junk=JUNK,
    n_cut=st.integers(0, 200),
    whole=st.one_of(st.none(), st.sampled_from(list(NO_RECORDS.values()))),
    flipped=st.integers(0, 7),
)
def test_damaged_sources(
    originals: dict[str, tuple[Source, dict[Path, bytes]]],
    name: str,
    which: int,
    place: float,
    early: bool,
    junk: bytes,
    n_cut: int,
    whole: bytes | None,
    flipped: int,
) -> None:
    source, files = originals[name]
    file = list(files)[which % len(files)]
    content = files[file]
    at = int(place * (min(len(content), 800) if early else len(content)))
    flip = bytes([content[at] ^ 1 << flipped]) if at < len(content) and not junk else junk
    file.write_bytes(content[:at] + flip + content[at + max(n_cut, 1) :] if whole is None else whole)
    try:
        check_outcome(source)
    finally:
        file.write_bytes(content)


PAST: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "a checksum record of zeros, which names a message that is none": (
        "session",
        "s1/words/00000.crc",
        lambda crc: crc[:-3] + bytes(64),
    ),
    "bytes put into a chunk of samples, which gave time stamps that are no numbers": (
        "xdf",
        "a.xdf",
        lambda xdf: xdf[:6219] + b"\r\n" + xdf[6219:],
    ),
}
"""What once came out as a traceback: format, file, damage."""


@pytest.mark.parametrize("case", list(PAST))
def test_past_crashes(originals: dict[str, tuple[Source, dict[Path, bytes]]], case: str) -> None:
    name, where, damaged = PAST[case]
    source, files = originals[name]
    file = next(file for file in files if file.as_posix().endswith(where))
    file.write_bytes(damaged(files[file]))
    try:
        check_outcome(source)
    finally:
        file.write_bytes(files[file])


def check_outcome(source: Source) -> None:
    """Read a source: every reading is clean, or there is a coded error in its place."""
    codes = []
    try:
        for unit in source.ingester.find(source.path):
            for item in source.ingester.readings(unit, key=KEY):
                assert (item.reading is None) != (item.error is None)
                if item.reading is not None:
                    check_clean(item.reading)
                elif item.error is not None:
                    codes.append(item.error.code)
    except GazeToolError as error:
        codes.append(error.code)
    assert all(code.startswith("GT-") for code in codes)


@EXAMPLES
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="reading,t_start_ms,t_end_ms\n0123456789.-eE\"'", max_size=200),
    )
)
def test_any_table_of_trials(
    originals: dict[str, tuple[Source, dict[Path, bytes]]], content: bytes | str
) -> None:
    source, files = originals["eyelink-asc"]
    table = next(file for file in files if file.name == "trials.csv")
    raw = content if isinstance(content, bytes) else b"reading,t_start_ms,t_end_ms\n" + content.encode()
    table.write_bytes(raw)
    assert isinstance(source.ingester, TakesTrials)
    codes = []
    try:
        cut = source.ingester.with_trials(table)
        for item in cut.readings(source.path, key=KEY):
            assert (item.reading is None) != (item.error is None)
    except GazeToolError as error:
        codes.append(error.code)
    finally:
        table.write_bytes(files[table])
    assert set(codes) <= {"GT-TRIALS"}
