"""CSV tables for R and pandas: tidy, typed, safe in a spreadsheet, the same bytes for the same rows."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.export.read import ShardReader
from curation.export.tables import TABLES, Column, write_tables
from curation.export.tables.columns import KEYS
from curation.export.tables.writer import cell

if TYPE_CHECKING:
    from tests.conftest import SmallDataset

TEXT = Column(name="label", kind="text", about="")
NUMBER = Column(name="duration_s", kind="number", about="", unit="s", decimals=6)


@pytest.fixture(scope="module")
def rows(small_dataset: SmallDataset) -> list[dict[str, Any]]:
    return list(ShardReader(small_dataset.dataset).rows())


@pytest.fixture(scope="module")
def tables(small_dataset: SmallDataset) -> dict[str, pd.DataFrame]:
    folder = small_dataset.dataset / "tables"
    return {table.name: pd.read_csv(folder / f"{table.name}.csv") for table in TABLES}


def test_pandas_reads_the_types_that_the_codebook_says(
    small_dataset: SmallDataset, tables: dict[str, pd.DataFrame]
) -> None:
    book = json.loads((small_dataset.dataset / "tables" / "codebook.json").read_bytes())
    with (small_dataset.dataset / "tables" / "codebook.csv").open(newline="") as handle:
        listed = [(row["table"], row["column"]) for row in csv.DictReader(handle)]
    assert listed == [(name, column) for name, frame in tables.items() for column in frame.columns]
    for name, frame in tables.items():
        assert len(frame), name
        kinds = {column["column"]: column["type"] for column in book[name]["columns"]}
        assert list(kinds) == list(frame.columns)
        for column, kind in kinds.items():
            values = frame[column].dropna()
            if kind in {"number", "integer"}:
                assert pd.api.types.is_numeric_dtype(values) or values.empty, column
            if kind == "integer":
                assert (values == values.round()).all(), column
            if kind == "flag" and len(values) == len(frame):
                assert frame[column].dtype == bool, column


def test_each_table_begins_with_the_keys(tables: dict[str, pd.DataFrame]) -> None:
    for frame in tables.values():
        assert list(frame.columns[: len(KEYS)]) == [column.name for column in KEYS]
        assert frame["reader"].nunique() == 2
        assert frame["case"].nunique() == 2
        assert frame["order"].min() == 1


def test_the_rows_are_those_of_the_shards(
    rows: list[dict[str, Any]], tables: dict[str, pd.DataFrame]
) -> None:
    assert list(tables["readings"]["reading_id"]) == [row["reading_id"] for row in rows]
    assert len(tables["fixations"]) == sum(len(row["fixations"]) for row in rows)
    assert len(tables["reading_regions"]) == sum(len(row["region_coverage"]) for row in rows)
    assert len(tables["lesions"]) == sum(t["present"] for row in rows for t in row["truth"]) > 0
    for row in rows:
        own = {name: frame[frame["reading_id"] == row["reading_id"]] for name, frame in tables.items()}
        reading = own["readings"].iloc[0]
        assert reading["fixation_time_s"] == pytest.approx(own["fixations"]["duration_s"].sum(), abs=1e-4)
        assert reading["n_lesions_reported"] == sum(lesion["reported"] for lesion in row["lesion_gaze"])
        assert reading["loss_share"] == pytest.approx(row["gaze_quality"]["loss_share"], abs=1e-5)
        for fixation, (_, read) in zip(row["fixations"], own["fixations"].iterrows(), strict=True):
            assert read["start_s"] == pytest.approx(fixation["t_start_ns"] / 1e9, abs=1e-6)
            assert read["x_image_px"] == pytest.approx(fixation["x_image_px"], abs=0.005, nan_ok=True)
            assert (read["region"] == fixation["region"]) or pd.isna(read["region"])
        seen = {lesion["finding_id"]: lesion for lesion in row["lesion_gaze"]}
        for _, lesion in own["lesions"].iterrows():
            assert lesion["reported"] == seen[lesion["finding_id"]]["reported"]
            assert lesion["x1_image_px"] > lesion["x0_image_px"]


def test_writing_again_gives_the_same_bytes(small_dataset: SmallDataset, tmp_path: Path) -> None:
    (tmp_path / "readings").symlink_to(small_dataset.dataset / "readings")
    write_tables(tmp_path)
    for path in sorted((small_dataset.dataset / "tables").iterdir()):
        assert (tmp_path / "tables" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_spreadsheet_runs_a_cell(start: str) -> None:
    assert cell(f"{start}HYPERLINK(1)", TEXT) == f"'{start}HYPERLINK(1)"
    assert cell("nodule", TEXT) == "nodule"


@given(st.floats())
def test_a_number_is_rounded_as_the_codebook_says(value: float) -> None:
    shown = cell(value, NUMBER)
    if not math.isfinite(value):
        assert shown == ""
    else:
        assert abs(float(shown) - value) <= max(0.5000001e-6, abs(value) * 1e-15)
        assert not (shown.startswith("-") and float(shown) == 0.0)
        assert len(shown.partition(".")[2]) == 6


def test_the_pandas_call_of_the_docs(small_dataset: SmallDataset) -> None:
    folder = small_dataset.dataset / "tables"
    lesions = pd.read_csv(folder / "lesions.csv")
    fixations = pd.read_csv(folder / "fixations.csv")
    found = lesions.groupby("reader")["reported"].mean()
    dwell = fixations.pivot_table("duration_s", ["reader", "case"], "letter", "sum")
    assert set(found.index) == {"R01", "R02"}
    assert len(dwell) == 4
    assert dwell.to_numpy()[~dwell.isna().to_numpy()].min() > 0
