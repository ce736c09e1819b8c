"""What every transcript importer must keep, whichever it is; examples are written by hand to the formats' documents."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from curation.dictation.importers import IMPORTERS, read_transcript
from curation.dictation.importers.parts import CODE, MAX_BYTES
from curation.dictation.words import Transcript
from keyframes.errors import SchemaError

SAID = ("No", "pleural", "effusion.")
SUFFIX: Mapping[str, str] = {"webvtt": ".vtt", "srt": ".srt", "text": ".txt"}

WHISPERX = {
    "segments": [
        {
            "start": 0.5, "end": 2.0, "text": " No pleural effusion.",
            "words": [
                {"word": "No", "start": 0.5, "end": 0.7, "score": 0.91},
                {"word": "pleural"},
                {"word": "effusion.", "start": 1.3, "end": 2.0, "score": 0.8},
            ],
        }
    ],
    "language": "en",
}  # fmt: skip
GOOGLE = {
    "results": [
        {
            "alternatives": [
                {
                    "transcript": "No pleural effusion.", "confidence": 0.9,
                    "words": [
                        {"startTime": "0.500s", "endTime": "0.700s", "word": "No", "confidence": 0.91},
                        {"startOffset": "0.7s", "endOffset": "1.300s", "word": "pleural"},
                        {"startTime": "1.300s", "endTime": "2s", "word": "effusion."},
                    ],
                }
            ]
        },
        {"alternatives": []},
    ]
}  # fmt: skip
AZURE = {
    "RecognitionStatus": "Success", "Offset": 5_000_000, "Duration": 15_000_000,
    "NBest": [
        {
            "Display": "No pleural effusion.", "Confidence": 0.9,
            "Words": [
                {"Word": "No", "Offset": 5_000_000, "Duration": 2_000_000},
                {"Word": "pleural", "Offset": 7_000_000, "Duration": 6_000_000},
                {"Word": "effusion.", "Offset": 13_000_000, "Duration": 7_000_000},
            ],
        }
    ],
}  # fmt: skip
EXAMPLES: Mapping[str, bytes] = {
    "whisperx": json.dumps(WHISPERX).encode(),
    "webvtt": b"WEBVTT - made by hand\n\nNOTE nothing\n\n1\n00:00:00.500 --> 00:02.000 align:start\n"
    b"<v Reader>No<00:00:00.700><c> pleural</c><00:00:01.300> effusion.</v>\n",
    "srt": b"\xef\xbb\xbf1\r\n00:00:00,500 --> 00:00:02,000\r\nNo pleural\r\n<i>effusion.</i>\r\n",
    "google": json.dumps(GOOGLE).encode(),
    "azure": json.dumps(AZURE).encode(),
    "text": b"No pleural\neffusion.\n",
}


def read(name: str, content: bytes, folder: Path) -> Transcript:
    path = folder / f"transcript{SUFFIX.get(name, '.json')}"
    path.write_bytes(content)
    return read_transcript(path)


def outcome_of(path: Path, name: str) -> Transcript | SchemaError:
    try:
        return read_transcript(path, format_name=name)
    except SchemaError as error:
        return error


def test_every_importer_has_an_example() -> None:
    assert set(EXAMPLES) == set(IMPORTERS)


@pytest.mark.parametrize("name", IMPORTERS)
class TestEveryImporter:
    def test_reads_the_words(self, name: str, tmp_path: Path) -> None:
        assert read(name, EXAMPLES[name], tmp_path).text == SAID

    def test_times_are_in_order_and_within_the_phrase(self, name: str, tmp_path: Path) -> None:
        found = read(name, EXAMPLES[name], tmp_path)
        assert found.is_timed == (name != "text")
        if found.is_timed:
            assert [w.t_start_s for w in found.words] == sorted(w.t_start_s for w in found.words)
            assert found.words[0].t_start_s == pytest.approx(0.5)
            assert found.words[-1].t_end_s == pytest.approx(2.0)
            assert all(w.t_start_s <= w.t_end_s for w in found.words)

    def test_only_what_a_person_typed_is_reviewed(self, name: str, tmp_path: Path) -> None:
        assert read(name, EXAMPLES[name], tmp_path).review == ("reviewed" if name == "text" else "unreviewed")

    @pytest.mark.parametrize(
        "content", [b"\xff\xfe\x00", b"", b"[" * 100_000, b'{"segments": 3}', b"null", b"1"]
    )
    def test_what_is_none_is_a_coded_error_or_no_words(
        self, name: str, content: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / f"x{SUFFIX.get(name, '.json')}"
        path.write_bytes(content)
        outcome = outcome_of(path, name)
        if isinstance(outcome, SchemaError):
            assert (outcome.code, outcome.path) == (CODE, path)
        else:
            assert name == "text" or not outcome.words

    def test_a_cut_or_changed_file_never_ends_in_a_traceback(self, name: str, tmp_path: Path) -> None:
        rng = random.Random(1)
        content = EXAMPLES[name]
        for _ in range(120):
            broken = bytearray(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
            for _ in range(rng.randrange(1, 4)):
                if broken:
                    broken[rng.randrange(len(broken))] = rng.randrange(256)
            path = tmp_path / f"x{SUFFIX.get(name, '.json')}"
            path.write_bytes(bytes(broken))
            outcome = outcome_of(path, name)
            if isinstance(outcome, SchemaError):
                assert outcome.code == CODE
                assert "effusion" not in outcome.one_line().lower()
            else:
                assert all(w.word for w in outcome.words)

    def test_a_file_of_any_size_is_not_read(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / f"big{SUFFIX.get(name, '.json')}"
        with path.open("wb") as file:
            file.truncate(MAX_BYTES + 1)
        with pytest.raises(SchemaError, match="more than"):
            read_transcript(path, format_name=name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("whisperx", {"segments": [{"start": 2.0, "end": 1.0, "text": "no"}]}),
        (
            "whisperx",
            {"segments": [{"start": 0.0, "end": 1.0, "words": [{"word": "no", "start": -1, "end": 1}]}]},
        ),
        ("whisperx", {"segments": [{"start": 0.0, "end": 1e9, "text": "no"}]}),
        (
            "google",
            {"results": [{"alternatives": [{"words": [{"word": "no", "startTime": "1", "endTime": "2s"}]}]}]},
        ),
        (
            "google",
            {
                "results": [
                    {"alternatives": [{"words": [{"word": "no", "startTime": "3s", "endTime": "2s"}]}]}
                ]
            },
        ),
        ("azure", {"NBest": [{"Words": [{"Word": "no", "Offset": -1, "Duration": 3}]}]}),
        ("azure", {"NBest": []}),
        (
            "azure",
            {
                "recognizedPhrases": [
                    {"nBest": [{"words": [{"word": "no", "offset": "1s", "duration": "PT1S"}]}]}
                ]
            },
        ),
    ],
)
def test_impossible_times_are_named_by_their_place(name: str, content: object, tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        read(name, json.dumps(content).encode(), tmp_path)
    assert caught.value.code == CODE


def test_batch_results_of_azure_and_a_response_of_google(tmp_path: Path) -> None:
    words = [{"word": "no", "offset": "PT0.5S", "duration": "PT0.2S", "confidence": 0.5},
             {"word": "effusion", "offsetInTicks": 8_000_000, "durationInTicks": 5_000_000}]  # fmt: skip
    batch = {"recognizedPhrases": [{"nBest": [{"display": "No effusion.", "words": words}]}, {"nBest": []}]}
    found = read("azure", json.dumps(batch).encode(), tmp_path)
    assert [(w.word, w.t_start_s, w.t_end_s) for w in found.words] == [
        ("no", 0.5, 0.7),
        ("effusion", 0.8, 1.3),
    ]
    assert read("google", json.dumps({"name": "1", "response": GOOGLE}).encode(), tmp_path).text == SAID


def test_phrases_without_word_times_are_spread(tmp_path: Path) -> None:
    segment = {"segments": [{"start": 1.0, "end": 3.0, "text": " no effusion "}]}
    found = read("whisperx", json.dumps(segment).encode(), tmp_path)
    assert [(w.word, w.placing) for w in found.words] == [
        ("no", "interpolated"),
        ("effusion", "interpolated"),
    ]
    assert found.words[0].t_end_s == found.words[1].t_start_s


def test_words_that_whisperx_could_not_align_lie_between_their_neighbours(tmp_path: Path) -> None:
    found = read("whisperx", EXAMPLES["whisperx"], tmp_path)
    assert [w.placing for w in found.words] == ["measured", "interpolated", "measured"]
    assert (found.words[1].t_start_s, found.words[1].t_end_s) == (0.7, 1.3)


def test_an_empty_line_of_a_text_ends_a_sentence(tmp_path: Path) -> None:
    assert read("text", b"lungs clear\n\nheart normal.\n", tmp_path).text == (
        "lungs",
        "clear",
        ".",
        "heart",
        "normal.",
    )


def test_what_is_of_no_known_format_says_what_is(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"other": 1}')
    with pytest.raises(SchemaError, match="known: whisperx"):
        read_transcript(path)
