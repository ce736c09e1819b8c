"""Profile ``published`` against what the published scripts gave for three readings in the REFLACX layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from curation.export.box_frames import ResizeLimits, ShownSize
from curation.export.tasks import Place, PlaceWriter, load_prompts, written
from curation.ingest.protocol import Ingested
from curation.ingest.reflacx import ReflacxIngester
from gazecapture.radiograph.decode import load_radiograph
from keyframes.published import published_keyframes, render_published
from keyframes.sentences import split_sentences
from keyframes.spots import quarter_picture

pytestmark = pytest.mark.shared

BOX_PX, CENTROID_PX, HOLISTIC_CENTROID_PX, GREY_LEVELS = 1, 0.1, 0.001, 1


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden" / "gazex"


@pytest.fixture(scope="module")
def ingested(golden: Path) -> dict[str, Ingested]:
    ingester = ReflacxIngester()
    items = [item for unit in ingester.find(golden) for item in ingester.readings(unit, key=b"k" * 32)]
    return {item.label: item for item in items}


@pytest.mark.parametrize("reading_id", ["P300R900001", "P300R900004", "P102R900007"])
def test_key_frames_are_the_published_ones(
    golden: Path, ingested: dict[str, Ingested], reading_id: str
) -> None:
    expected = json.loads((golden / "golden" / reading_id / "golden.json").read_text())
    item = ingested[reading_id]
    assert item.reading is not None
    sentences = split_sentences(item.reading.table("words"))
    rows = published_keyframes(
        item.reading.table("gaze"), sentences, item.reading.table("images")
    ).to_pylist()
    ids = sentences.column("sentence_id").to_pylist()
    assert len(ids) == len(expected["sentences"])
    assert len(rows) == expected["n_frames"]
    assert [(row["kind"], ids.index(row["sentence_id"])) for row in rows] == [
        (frame["kind"], frame["sentence"]) for frame in expected["frames"]
    ]
    width_px, height_px = expected["image_size"]
    for row, frame in zip(rows, expected["frames"], strict=True):
        sentence = expected["sentences"][frame["sentence"]]
        assert row["n_clusters_found"] == sentence["n_clusters_found"]
        assert row["n_samples"] == sentence["n_samples_kept"]
        told = sentence["holistic"] if frame["cluster"] is None else sentence["clusters"][frame["cluster"]]
        is_cluster = row["kind"] == "cluster"
        assert row["box_q"] == pytest.approx(told["box"], abs=BOX_PX if is_cluster else 0)
        tolerance_px = CENTROID_PX if is_cluster else HOLISTIC_CENTROID_PX
        assert row["centroid_q"] == pytest.approx(told["centroid"], abs=tolerance_px)
        if is_cluster:
            assert row["n_pixels"] == told["n_pixels"]
            assert row["mean_t_s"] == pytest.approx(told["mean_time_s"], abs=0.013)
        x0, y0, x1, y1 = row["box_q"]
        assert row["box"] == [4 * x0, 4 * y0, min(4 * (x1 + 1), width_px), min(4 * (y1 + 1), height_px)]
    _check_frames(golden / "golden" / reading_id / "frames", item, rows)


@pytest.mark.parametrize("reading_id", ["P300R900001", "P300R900004", "P102R900007"])
def test_prompt_set_published_writes_the_golden_boxes(golden: Path, reading_id: str) -> None:
    """Answers of the box task, as the published scripts format golden boxes: narrowed, cut, with their own spaces."""
    told = json.loads((golden / "golden" / reading_id / "golden.json").read_text())
    prompts = load_prompts("published")
    width_px, height_px = told["image_size"]
    size = ShownSize(
        matrix_width_px=width_px, matrix_height_px=height_px, width_px=width_px // 4, height_px=height_px // 4
    )
    write = PlaceWriter(syntax=prompts.syntax, frame="quarter", limits=ResizeLimits())
    for sentence in told["sentences"]:
        clues = [_place(cluster, "clue") for cluster in sentence["clusters"]]
        fields = {"clues": clues, "observation": _place(sentence["holistic"], "observation")}
        prompt, answer = prompts.render(
            "boxes_from_sentence", {**fields, "sentence_as_dictated": sentence["text"]}
        )
        expected = f"observation : [{_published(sentence['holistic'], 0.15)}]"
        if clues:
            inner = ",".join(_published(cluster, 0.35) for cluster in sentence["clusters"])
            expected = f"visual clues : [{inner}] {expected}"
        assert written(answer, lambda place: write(place, size)) == expected
        assert sentence["text"] in written(prompt, lambda place: write(place, size))
    _, finding = prompts.render(
        "finding_from_clip", {"n_frames": 1, "sentence_as_dictated": told["sentences"][0]["text"]}
    )
    assert finding == (told["sentences"][0]["text"].removesuffix(" ."),)


def _place(told: dict[str, Any], role: Literal["clue", "observation"]) -> Place:
    x0, y0, x1, y1 = told["box"]
    box = (4.0 * x0, 4.0 * y0, 4.0 * (x1 + 1), 4.0 * (y1 + 1))
    return Place(image=0, box=box, box_q=(x0, y0, x1, y1), centroid_q=tuple(told["centroid"]), role=role)


def _published(told: dict[str, Any], narrowed_percent: float) -> str:
    """Return a box and its centroid as text, by the rules of the published scripts."""
    x0, y0, x1, y1 = told["box"]
    share = narrowed_percent / 100
    off_x, off_y = (x1 - x0) * share / 2, (y1 - y0) * share / 2
    corners = f"({int(x0 + off_x)},{int(y0 + off_y)})({int(x1 - off_x)},{int(y1 - off_y)})"
    return f"{corners}({int(told['centroid'][0])},{int(told['centroid'][1])})"


def _check_frames(folder: Path, item: Ingested, rows: list[dict[str, Any]]) -> None:
    small = quarter_picture(load_radiograph(item.images[0]).grey8())
    for number, path in enumerate(sorted(folder.glob("*.png")), start=1):
        expected = np.asarray(Image.open(path), np.int64)
        drawn = render_published(small, rows[number - 1], is_quarter=True)
        assert np.abs(expected - drawn).max() <= GREY_LEVELS
