from __future__ import annotations

import pyarrow as pa
import pytest

from keyframes import reading as tables
from keyframes.errors import SchemaError
from keyframes.reading import SCHEMAS, SOURCE_TABLES, Reading, ReadingMeta, conform, empty_table

META = ReadingMeta(
    reading_id="abc", source_format="test", reader_code="R1", study_key="s", patient_key="p", duration_ns=10
)
WORD = {
    "word_index": 0,
    "t_start_ns": 1,
    "t_end_ns": 2,
    "word": "clear",
    "supported": True,
    "source": "typed",
}


def test_a_reading_has_every_source_table() -> None:
    reading = Reading.build(META, {})
    assert set(reading.tables) == set(SOURCE_TABLES)
    assert reading.table("gaze").schema.names == tables.GAZE.names


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_an_empty_table_conforms(name: str) -> None:
    assert conform(name, empty_table(name)).schema.equals(SCHEMAS[name])


def test_conform_orders_casts_fills_and_keeps_further_columns() -> None:
    table = pa.table({"extra": [1], **{name: [value] for name, value in reversed(WORD.items())}})
    done = conform("words", table)
    assert done.schema.names == [*tables.WORDS.names, "extra"]
    assert done.schema.field("word_index").type == pa.int32()
    assert done.column("confidence").to_pylist() == [None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word": None}, "empty cells"),
        ({"word_index": 1 << 40}, "expected int32"),
        ({"t_start_ns": "soon"}, "expected int64"),
    ],
)
def test_conform_refuses_what_would_lose_data(change: dict[str, object], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        conform("words", pa.Table.from_pylist([WORD | change]))


def test_conform_names_the_absent_column() -> None:
    with pytest.raises(SchemaError, match="lacks column 't_end_ns'"):
        conform("words", pa.Table.from_pylist([WORD]).drop_columns(["t_end_ns"]))


def test_unknown_and_unmade_tables_are_errors() -> None:
    with pytest.raises(SchemaError, match="no table 'dreams'"):
        Reading.build(META, {"dreams": empty_table("words")})
    with pytest.raises(SchemaError, match="no table 'events'") as error:
        Reading.build(META, {}).table("events")
    assert "stage" in error.value.hint


def test_with_tables_leaves_the_first_as_it_was() -> None:
    first = Reading.build(META, {})
    second = first.with_tables(words=pa.Table.from_pylist([WORD]))
    assert first.table("words").num_rows == 0
    assert second.to_pandas("words")["word"].tolist() == ["clear"]
    with pytest.raises(TypeError):
        second.tables["words"] = empty_table("words")  # type: ignore[index]
