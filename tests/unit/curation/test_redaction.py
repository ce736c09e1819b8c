"""Texts and rows freed of what could name somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.export.schema import SHARD
from curation.ingest.into_store import INGESTERS
from curation.ingest.terms import SOURCE_FORMATS
from curation.issues import SOURCE_ISSUES
from curation.privacy import REDACTED, STRING_RULES, Identifiers, Redactor, RowGuard, load_lexicon
from curation.privacy.strings import string_places
from gazecapture.radiograph.phantom_findings import CATALOGUE
from gazecapture.store import KeyedHash
from keyframes.errors import ConfigError, PrivacyError
from keyframes.regions.schemes import load_scheme, packaged_schemes

LEXICON = load_lexicon()
PLAIN = Redactor(lexicon=LEXICON)
NAMED = Redactor(lexicon=LEXICON, identifiers=Identifiers(names=frozenset({"HEARTFIELD^LONG"})))
FAMILY = (
    "Smith",
    "Okonkwo",
    "Müller",
    "Nguyen",
    "Garcia",
    "Brown",
    "Kowalski",
    "李",
    "Иванов",
    "O'Brien",
    "Mary",
    "Mark",
)


def test_what_this_toolkit_says_itself_is_kept() -> None:
    assert set(INGESTERS) == SOURCE_FORMATS
    guard = RowGuard(redactor=PLAIN, keyed_hash=KeyedHash(bytes(32)))
    issues = [
        {"code": code, "severity": severity, "message": f"{message} (2)"}
        for code, (severity, message) in SOURCE_ISSUES.items()
    ]
    for name in SOURCE_FORMATS:
        row = {"source_format": name, "issues": issues}
        assert guard(row) == row


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is a 1.5 cm nodule in the left upper lobe, 3cm from the hilum.", None),
        ("Swan-Ganz catheter; T12 wedge deformity. Cardiothoracic ratio 0.55, 72 year old", None),
        ("No pneumothorax . Costophrenic angles are clear .", None),
        ("X-rays of the patient's lungs", None),
        ("Called Dr. Okonkwo at 14:32", f"Called Dr. {REDACTED} at {REDACTED}"),
        ("seen on 12/03/2021 and 2021-3-12", f"seen on {REDACTED} and {REDACTED}"),
        ("born in 1949", f"born in {REDACTED}"),
        ("record 471 19 23", f"record {REDACTED}"),
        ("record four seven one one nine", f"record {REDACTED}"),
        ("record A1234567", f"record {REDACTED}"),
        ("films 1, 2 and 3", None),
        ("from Springfield-Mercy", f"from {REDACTED}"),
    ],
)
def test_what_a_text_keeps(text: str, expected: str | None) -> None:
    assert PLAIN(text) == (text if expected is None else expected)


@pytest.mark.parametrize("name", FAMILY)
def test_names_are_not_in_the_packaged_words(name: str) -> None:
    assert PLAIN(f"discussed with {name} today") == f"discussed with {REDACTED} today"
    assert PLAIN(name.upper()) == PLAIN(name.lower()) == REDACTED


def test_a_name_of_the_header_goes_even_where_it_is_a_word() -> None:
    assert PLAIN("a long segment in the heart field") == "a long segment in the heart field"
    assert NAMED("a long segment in the heart field") == f"a {REDACTED} segment in the {REDACTED} {REDACTED}"
    # Word by word, as the words table holds them, the split name is found only with its neighbours.
    assert NAMED.words(["the", "heart", "field", "."]) == ["the", REDACTED, REDACTED, "."]
    assert [NAMED(word) for word in ("heart", "field")] == ["heart", "field"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("MÜLLER^ÄNNE", "Mu\u0308ller"),
        ("MÜLLER^ÄNNE", "muller"),
        ("MULLER^ANNE", "Müller"),
        ("MÜLLER^ÄNNE", "Anne"),
        ("OKONKWO^ADA", "AdaOkonkwo"),
        ("OKONKWO^ADA", "drokonkwo"),
        ("OKONKWO^ADA", "Okonkwo-Li"),
        ("KWAN^LEE", "LeeKwan"),
        ("OKONKWO-SMITHERS^ADA", "Smithers"),
        ("O'BRIEN^LEE", "OBrien"),
        ("O'BRIEN^LEE", "Lee's"),
        ("MULLER^ADA", "mullar"),
    ],
)
def test_names_as_people_say_and_type_them(header: str, said: str) -> None:
    """Where no list of words helps."""
    names = Redactor(identifiers=Identifiers(names=frozenset({header})))
    assert names(f"the lung of {said} is clear") == f"the lung of {REDACTED} is clear"
    assert names.words(["of", said]) == ["of", REDACTED]


def test_an_ordinary_word_with_a_name_in_it_stays() -> None:
    named = Redactor(identifiers=Identifiers(names=frozenset({"LATER^ADA"})))
    assert named("collateral of the lateral wall, later") == f"collateral of the lateral wall, {REDACTED}"


def test_the_simulated_readers_words_and_the_schemes_are_all_known() -> None:
    for entry in CATALOGUE.values():
        assert PLAIN.count_in(entry.label) == 0
        for place in entry.__dataclass_fields__:
            for text in getattr(entry, place) if isinstance(getattr(entry, place), tuple) else ():
                assert not isinstance(text, str) or PLAIN(text) == text
    for name in packaged_schemes():
        assert [PLAIN(region) for region in load_scheme(name).regions] == list(load_scheme(name).regions)


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = PLAIN(text)
    assert PLAIN(once) == once


@settings(max_examples=60)
@given(
    before=st.lists(st.sampled_from(["the", "left", "lung", "is", "clear", "cm"]), max_size=6),
    name=st.sampled_from(FAMILY),
    after=st.lists(st.sampled_from(["and", "no", "effusion", "seen"]), max_size=6),
    mark=st.sampled_from(["", ",", ".", ":", "'s", "-"]),
)
def test_a_planted_name_never_stays(before: list[str], name: str, after: list[str], mark: str) -> None:
    words = [*before, name + mark, *after]
    assert name.casefold() not in PLAIN(" ".join(words)).casefold()
    alone = PLAIN.words(words)
    assert len(alone) == len(words)
    assert name.casefold() not in " ".join(alone).casefold()
    assert [w for w in alone if REDACTED not in w] == [w for w in words if name not in w]


def test_a_labs_own_words(tmp_path: Path) -> None:
    own = tmp_path / "words.txt"
    own.write_text("# ours\nZweigstelle kerley\n", encoding="utf-8")
    assert Redactor(lexicon=load_lexicon([own]))("Kerley lines, Zweigstelle") == "Kerley lines, Zweigstelle"
    assert PLAIN("Kerley lines") == f"{REDACTED} lines"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_lexicon([tmp_path / "absent.txt"])
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_lexicon([own])


SHAPED = {"version": "1.0", "sex": "F", "age_band": "60-69", "public_id": "p-1"}
"""What stands where a rule asks for a shape, by rule."""


def row_of(text: str) -> Any:
    """Return a row of the shard's shape that holds ``text`` at every string's place."""

    def value(kind: pa.DataType, place: str) -> Any:
        if pa.types.is_string(kind):
            return SHAPED.get(STRING_RULES.get(place, ""), text)
        if pa.types.is_list(kind):
            return [value(kind.value_type, f"{place}[]")]
        if pa.types.is_struct(kind):
            return {field.name: value(field.type, f"{place}.{field.name}") for field in kind}
        return None

    return {field.name: value(field.type, field.name) for field in SHARD}


def guard(redactor: Redactor = PLAIN) -> RowGuard:
    return RowGuard(redactor=redactor, keyed_hash=KeyedHash(b"k" * 32))


def test_every_string_of_the_shard_has_a_rule() -> None:
    assert string_places(row_of("x")) <= set(STRING_RULES)


@pytest.mark.parametrize(
    "canary", ["ZZCANARY", "Okonkwo", "MRN-4711923", "20210312143205", "12345678", "/home/okonkwo/x"]
)
def test_a_canary_at_any_place_does_not_get_through(canary: str) -> None:
    row = row_of(canary)
    assert canary in str(row)
    assert canary.strip("/").casefold() not in str(guard()(row)).casefold()
    assert "okonkwo" not in str(guard()(row)).casefold()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("schema_version", "1.x"), ("tool_version", "1.0 Okonkwo"), ("sex", "Jane"), ("age_band", "born 1949"),
        ("public_patient_id", "Doe Jane"), ("public_study_id", "a/b"), ("public_study_id", "x" * 200),
    ],
)  # fmt: skip
def test_what_does_not_look_as_its_rule_asks_does_not_leave(place: str, value: str) -> None:
    with pytest.raises(PrivacyError) as error:
        guard()({**row_of("left"), place: value})
    assert place in str(error.value)
    assert value not in str(error.value)


def test_our_own_words_stay_whatever_the_patient_is_called() -> None:
    """Else the reading of a patient called Test would lose its split, and every other reading's be taken for a name."""
    names = frozenset({"TEST^NIH", "Train^Ann", "PRIOR^ADA", "Open^Otto", "Audio", "Okonkwo"})
    named = guard(Redactor(identifiers=Identifiers(names=names)))
    row = {
        "split": "test", "split_official": "train", "image_info": [{"role": "current"}, {"role": "prior"}],
        "access_tier": "open", "consent_scopes": ["gaze", "audio"],
    }  # fmt: skip
    assert named(row) == row
    assert named({"study_arm": "Okonkwo"})["study_arm"] != "Okonkwo"
    assert named.replaced_codes == {"Okonkwo"}


def test_what_names_nobody_stays_and_what_was_equal_stays_equal() -> None:
    row = row_of("left lung")
    assert guard()(row) == row
    hidden = guard()(row_of("Okonkwo"))
    assert hidden["reader_code"] == hidden["study_arm"] == hidden["findings"][0]["finding_id"]
    assert hidden["reader_code"] != guard()(row_of("Kowalski"))["reader_code"]
    assert hidden["text"] == hidden["findings"][0]["label"] == REDACTED


def test_sixteen_digits_stay_only_where_they_are_an_id_of_ours() -> None:
    digits = "8315720946117203"
    ours = RowGuard(redactor=PLAIN, keyed_hash=KeyedHash(b"k" * 32), own_ids={digits})
    for code in (digits, f"{digits}_0.png", f"{digits}_k012.png"):
        assert digits not in str(guard()(row_of(code)))
        row = ours(row_of(code))
        assert (row["reading_id"], row["images"][0]["path"]) == (code, code)
        assert digits not in row["text"]
    other = f"{digits[:-1]}4"
    assert other not in str(ours(row_of(other)))


def test_a_string_without_a_rule_does_not_leave() -> None:
    with pytest.raises(PrivacyError, match="a_new_column") as error:
        guard()({"a_new_column": "Okonkwo"})
    assert "Okonkwo" not in str(error.value)
    for place in ("tool_version", "sex", "age_band", "public_patient_id"):
        with pytest.raises(PrivacyError, match=place) as error:
            guard()({place: "Adaeze Okonkwo"})
        assert "Okonkwo" not in str(error.value)
