"""Words to sentences, and sentences to findings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pytest

from gazecapture.radiograph.phantom_findings import CATALOGUE
from keyframes.mentions import mentions
from keyframes.reading import FINDINGS, SENTENCES, WORDS, conform
from keyframes.sentence_time import sentence_windows
from keyframes.sentences import PAUSE_S, label_sentences, link_findings, split_sentences, supported_texts


def words(*said: tuple[str, float, float]) -> pa.Table:
    rows = [
        {
            "word_index": place,
            "t_start_ns": round(start * 1e9),
            "t_end_ns": round(end * 1e9),
            "word": word,
            "supported": True,
            "source": "dictated",
        }
        for place, (word, start, end) in enumerate(said)
    ]
    return pa.Table.from_pylist(rows, schema=WORDS)


def findings(*marked: tuple[str, str, bool], sentence_ids: Sequence[str] = ()) -> pa.Table:
    rows = [
        {
            "finding_id": finding_id,
            "label": label,
            "present": present,
            "shape": "none",
            "sentence_ids": list(sentence_ids),
            "source": "reader",
        }
        for finding_id, label, present in marked
    ]
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def test_cuts_at_dictated_full_stops_and_keeps_the_rest() -> None:
    table = split_sentences(
        words(
            ("Heart", 1.0, 1.2),
            ("normal", 3.0, 3.3),
            (".", 3.4, 3.6),
            ("No", 3.7, 3.8),
            ("effusion", 3.9, 4.4),
        )
    )
    assert table.schema.equals(SENTENCES)
    assert table.column("text").to_pylist() == ["Heart normal.", "No effusion"]
    assert table.column("t_start_ns").to_pylist() == [1_000_000_000, 3_700_000_000]
    assert table.column("t_end_ns").to_pylist() == [3_600_000_000, 4_400_000_000]
    assert table.column("sentence_index").to_pylist() == [0, 1]
    assert table.column("finding_ids").to_pylist() == [[], []]


def test_cuts_at_pauses_only_where_no_full_stop_was_dictated() -> None:
    said = [("lungs", 0.0, 0.4), ("clear", 0.4 + PAUSE_S - 0.01, 1.5), ("heart", 1.5 + PAUSE_S, 2.6)]
    assert split_sentences(words(*said)).column("text").to_pylist() == ["lungs clear", "heart"]
    assert split_sentences(words(*said), pause_s=5.0).num_rows == 1
    assert split_sentences(words(*said, (".", 2.7, 2.8))).column("text").to_pylist() == ["lungs clear heart."]


def test_typed_full_stops_end_sentences_too() -> None:
    text = "Heart normal. Lungs (see Fig. 2, e.g. 3.5 cm vs. 2 cm) clear! Lines? Port at T4. No rib"
    said = [(word, float(place), place + 0.5) for place, word in enumerate(text.split())]
    table = split_sentences(words(*said))
    assert table.column("text").to_pylist() == [
        "Heart normal.",
        "Lungs (see Fig. 2, e.g. 3.5 cm vs. 2 cm) clear!",
        "Lines?",
        "Port at T4.",
        "No rib",
    ]


@pytest.mark.parametrize("word", ["2.5", "e.g.", "A.", "1.", "vs.", "(Dr."])
def test_a_dot_that_ends_no_sentence(word: str) -> None:
    assert split_sentences(words((word, 0.0, 0.2), ("next", 0.3, 0.4))).num_rows == 1


def test_sentences_may_overlap_in_time() -> None:
    said = [("heart", 0.0, 2.0), (".", 0.5, 0.6), ("lungs", 1.0, 1.5), (".", 1.6, 1.7)]
    table = split_sentences(words(*said))
    assert table.column("t_start_ns").to_pylist() == [0, 1_000_000_000]
    assert table.column("t_end_ns").to_pylist() == [2_000_000_000, 1_700_000_000]
    windows = sentence_windows(table, lead_s=0.4, min_silent_s=0.0)
    bounds = [(w.t_start_ns / 1e9, w.t_end_ns / 1e9) for w in windows if w.sentence_id]
    assert bounds == [(-0.4, 0.6), (0.6, 1.7)], "the gaze of the overlap is the later one's"


def test_a_pause_counts_from_the_last_end_of_overlapping_words() -> None:
    said = [("a", 0.0, 3.0), ("b", 0.5, 0.6), ("c", 3.2, 3.3)]
    assert split_sentences(words(*said)).num_rows == 1


def test_order_of_rows_does_not_matter() -> None:
    table = words(("one", 0.0, 0.2), (".", 0.3, 0.4), ("two", 0.5, 0.6), (".", 0.7, 0.8))
    shuffled = table.take(pa.array([3, 0, 2, 1]))
    assert split_sentences(shuffled).equals(split_sentences(table))


def test_punctuation_has_no_space_before_it() -> None:
    said = [
        ("small", 0.0, 0.1),
        (",", 0.1, 0.2),
        ("left", 0.2, 0.3),
        (";", 0.3, 0.4),
        (".", 0.4, 0.5),
        (".", 0.5, 0.6),
    ]
    assert split_sentences(words(*said)).column("text").to_pylist() == ["small, left;."]


def test_sentence_id_is_the_hash_of_the_first_words_time() -> None:
    table = split_sentences(words(("one", 1.5, 1.6), (".", 1.7, 1.8)))
    expected = hashlib.sha256(b"1500000000").hexdigest()[:16]
    assert table.column("sentence_id").to_pylist() == [expected]


def test_sentences_without_times_have_ids_of_their_own() -> None:
    said = [(word, 0.0, 0.0) for word in ("one", ".", "two", ".", "three")]
    ids = split_sentences(words(*said)).column("sentence_id").to_pylist()
    assert len(set(ids)) == 3


def test_no_words_no_sentences() -> None:
    assert split_sentences(WORDS.empty_table()).num_rows == 0
    assert split_sentences(words((".", 0.0, 0.1), (" ", 0.2, 0.3))).num_rows == 0


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ("There is a small pleural effusion.", "Pleural Effusion", {True}),
        ("No pleural effusion or pneumothorax.", "Pneumothorax", {False}),
        ("No pneumothorax, but a small effusion.", "Pleural Effusion", {True}),
        ("No pneumothorax, but a small effusion.", "Pneumothorax", {False}),
        ("No effusion and a tiny apical pneumothorax.", "Pneumothorax", {True}),
        ("The lungs are without consolidation.", "Consolidation", {False}),
        ("Pneumothorax is not seen.", "Pneumothorax", {False}),
        ("The heart is not enlarged.", "Cardiomegaly", {False}),
        ("Heart size is normal.", "Cardiomegaly", {False}),
        ("No change in the large effusion.", "Pleural Effusion", {True}),
        ("The trachea is central.", "Pleural Effusion", set()),
        ("Small pulmonary oedema.", "Edema", {True}),
        ("No acute abnormality.", "No Finding", {True}),
        ("Calcified granuloma present.", "Granuloma", {True}),
        ("No granuloma.", "Granuloma", {False}),
    ],
)
def test_mentions(text: str, label: str, expected: set[bool]) -> None:
    assert mentions(text, label) == expected


@pytest.mark.parametrize("label", CATALOGUE)
def test_every_sentence_of_the_phantoms_catalogue_is_understood(label: str) -> None:
    entry = CATALOGUE[label]
    for text in entry.positive_sentences:
        assert mentions(text, label) == {True}, text
    assert mentions(entry.negative_sentence, label) == {False}


def test_links_by_label_and_polarity() -> None:
    sentences = split_sentences(
        words(
            ("no", 0.0, 0.1), ("effusion", 0.2, 0.3), (".", 0.4, 0.5), ("effusion", 1.0, 1.2), (".", 1.3, 1.4)
        )
    )
    linked = link_findings(
        sentences,
        findings(("f1", "Pleural Effusion", True), ("f2", "Pleural Effusion", False), ("f3", "Edema", True)),
    )
    assert linked.column("finding_ids").to_pylist() == [["f2"], ["f1"]]
    assert conform("sentences", linked).num_rows == 2


def test_a_link_that_the_source_gives_is_kept() -> None:
    sentences = split_sentences(words(("look", 0.0, 0.1), ("here", 0.2, 0.3)))
    ids = sentences.column("sentence_id").to_pylist()
    linked = link_findings(sentences, findings(("f1", "Fracture", True), sentence_ids=ids))
    assert linked.column("finding_ids").to_pylist() == [["f1"]]


def test_words_without_support_are_in_the_text_and_in_no_finding() -> None:
    table = words(
        ("no", 0.0, 0.1), ("effusion", 0.2, 0.3), (".", 0.4, 0.5),
        ("large", 1.0, 1.2), ("mass", 1.3, 1.4), (".", 1.5, 1.6),
    )  # fmt: skip
    unsure = pa.array([False, True, True, True, False, True])
    table = table.set_column(table.column_names.index("supported"), WORDS.field("supported"), unsure)
    kept = supported_texts(table)
    assert kept == ["effusion.", "large."]
    sentences = label_sentences(split_sentences(table), kept)
    assert sentences.column("text").to_pylist() == ["no effusion.", "large mass."]
    assert sentences.column("mentions").to_pylist() == [[], []], "neither a lost no nor an invented mass"
    marked = findings(
        ("f1", "Pleural Effusion", True), ("f2", "Pleural Effusion", False), ("f3", "Lung Lesion", True)
    )
    assert link_findings(sentences, marked, supported=kept).column("finding_ids").to_pylist() == [[], []]


def test_mentions_say_who_found_them() -> None:
    table = words(("possible", 0.0, 0.1), ("pneumonia", 0.2, 0.3), (".", 0.4, 0.5))
    sentences = label_sentences(split_sentences(table), supported_texts(table))
    assert sentences.column("mentions").to_pylist() == [[{"label": "Pneumonia", "certainty": "uncertain"}]]
    assert sentences.column("mentions_by").to_pylist() == ["gazecapture-rules-1"]
