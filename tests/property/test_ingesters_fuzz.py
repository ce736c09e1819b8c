"""Damaged sources: every ingester gives a coded error or a clean reading, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.ingest.protocol import TakesTrials
from keyframes.errors import GazeToolError
from tests.contract.test_ingesters import KEY, check_clean
from tests.ingest_fixture import WRITERS, Source

EXAMPLES = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    for name, write in WRITERS.items():
        root = tmp_path_factory.mktemp("fuzz")
        source = write(root)
        files = [p for p in sorted(root.rglob("*")) if p.is_file() and p.suffix not in (".png", ".jpg")]
        found[name] = source, {file: file.read_bytes() for file in files}
    return found


@pytest.mark.parametrize("name", list(WRITERS))
@EXAMPLES
@given(
    which=st.integers(0, 30), place=st.floats(0, 1), early=st.booleans(), junk=JUNK, n_cut=st.integers(0, 200)
)
def test_damaged_sources(
    originals: dict[str, tuple[Source, dict[Path, bytes]]],
    name: str,
    which: int,
    place: float,
    early: bool,
    junk: bytes,
    n_cut: int,
) -> None:
    source, files = originals[name]
    file = list(files)[which % len(files)]
    content = files[file]
    at = int(place * (min(len(content), 800) if early else len(content)))
    file.write_bytes(content[:at] + junk + content[at + n_cut :])
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
    finally:
        file.write_bytes(content)
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
