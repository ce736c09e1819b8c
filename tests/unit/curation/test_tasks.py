"""Training examples: what is asked and answered, boxes in every family's numbers, orders that nothing gives away."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.export.box_frames import (
    FAMILIES,
    BoxFrame,
    ResizeLimits,
    ShownSize,
    from_frame,
    smart_resize,
    to_frame,
)
from curation.export.tasks import (
    TASKS,
    LeftOut,
    PlaceWriter,
    TaskRecord,
    load_prompts,
    places_in,
    records_of,
    written,
)
from curation.export.tasks.prompts import TEMPLATES, neutral
from curation.privacy.lexicon import load_lexicon
from curation.privacy.phrases import MIN_WORD_LETTERS
from curation.view_settings import TaskOptions
from tests.shard_rows import MATRIX_PX, PHRASES, full_row, varied_rows

LIMITS = ResizeLimits()
FRAMES: tuple[BoxFrame, ...] = ("pixels", "norm1000", "resized", "quarter")
sides = st.integers(40, 3000)
BOX = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")


def made(row: dict[str, Any], **options: Any) -> list[TaskRecord]:
    settings = TaskOptions.model_validate(options)
    return [record for _, record in records_of(row, settings) if isinstance(record, TaskRecord)]


def texts(record: TaskRecord, **options: Any) -> tuple[str, str]:
    settings = TaskOptions.model_validate(options)
    writer = PlaceWriter(
        syntax=load_prompts(settings.template).syntax, frame=settings.box_frame, limits=settings.resize_limits
    )
    prompt, answer = (
        written(text, lambda place: writer(place, record.images[place.image].size))
        for text in (record.prompt, record.answer)
    )
    return prompt, answer


def of_task(records: list[TaskRecord], task: str) -> list[TaskRecord]:
    return [record for record in records if record.record_id.split("-")[1].startswith(task)]


@given(sides, sides, sides, sides, st.sampled_from(FRAMES), st.data())
def test_boxes_come_back_from_every_frame(
    matrix_width: int, matrix_height: int, width: int, height: int, frame: BoxFrame, data: st.DataObject
) -> None:
    size = ShownSize(
        matrix_width_px=matrix_width, matrix_height_px=matrix_height, width_px=width, height_px=height
    )
    x = data.draw(st.floats(0, matrix_width))
    y = data.draw(st.floats(0, matrix_height))
    told = to_frame((x, y), frame, size, LIMITS)
    assert from_frame(told, frame, size, LIMITS) == pytest.approx((x, y))
    # Whole numbers, as a model reads them, are off by half a unit of the frame at most.
    unit = from_frame((1.0, 1.0), frame, size, LIMITS)
    back = from_frame([round(v) for v in told], frame, size, LIMITS)
    assert abs(back[0] - x) <= unit[0] / 2 + 1e-9
    assert abs(back[1] - y) <= unit[1] / 2 + 1e-9


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("task", ["boxes_from_sentence", "grounded_report", "vqa"])
def test_boxes_come_back_from_the_answers_text(task: str, frame: BoxFrame) -> None:
    """Every box of every answer, read out of its text as a score would. Frame quarter includes both ends."""
    n_boxes = 0
    for record in of_task(made(full_row(1), box_frame=frame), task):
        told = [list(map(int, found)) for found in BOX.findall(texts(record, box_frame=frame)[1])]
        places = list(places_in(record.answer))
        assert len(told) == len(places)
        for numbers, place in zip(told, places, strict=True):
            size = record.images[place.image].size
            unit = from_frame((1.0, 1.0), frame, size, LIMITS)
            off = 1.0 if frame == "quarter" else 0.5
            for one, is_, at in zip(
                from_frame(numbers, frame, size, LIMITS), place.box, (0, 1, 0, 1), strict=True
            ):
                assert abs(one - is_) <= off * unit[at] + 1e-9
        n_boxes += len(told)
    assert n_boxes > 0


def test_corners_of_the_picture_are_those_of_the_frame() -> None:
    size = ShownSize(matrix_width_px=2544, matrix_height_px=3056, width_px=853, height_px=1024)
    corner = (2544.0, 3056.0)
    assert to_frame(corner, "pixels", size, LIMITS) == pytest.approx((853, 1024))
    assert to_frame(corner, "norm1000", size, LIMITS) == pytest.approx((1000, 1000))
    assert to_frame(corner, "quarter", size, LIMITS) == pytest.approx((636, 764))
    assert to_frame(corner, "resized", size, LIMITS) == pytest.approx(smart_resize(853, 1024, LIMITS))
    assert set(FAMILIES.values()) < set(FRAMES)


@given(sides, sides)
def test_the_resized_picture_is_what_the_processor_takes(width: int, height: int) -> None:
    new = smart_resize(width, height, LIMITS)
    assert all(side % LIMITS.factor == 0 and side > 0 for side in new)
    assert LIMITS.min_pixels <= math.prod(new) <= LIMITS.max_pixels


def test_known_sizes_after_the_resize() -> None:
    # Printed by smart_resize of transformers 5.23, height first there; check_clients/resize_check.py compares more.
    assert smart_resize(640, 768, LIMITS) == (644, 756)
    assert smart_resize(853, 1024, LIMITS) == (840, 1036)
    assert smart_resize(2544, 3056, LIMITS) == (896, 1092)
    assert smart_resize(40, 30, LIMITS) == (84, 56)
    assert smart_resize(1, 112, LIMITS) == (28, 616)
    assert smart_resize(640, 768, ResizeLimits(max_pixels=256 * 256)) == (224, 280)
    assert smart_resize(640, 768, ResizeLimits(factor=32)) == (640, 768)
    with pytest.raises(ValueError, match="too long"):
        smart_resize(10, 3000, LIMITS)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_has_every_task_and_its_tags(template: str) -> None:
    records = [r for row in varied_rows() for r in made(row, template=template, box_frame="quarter")]
    assert {
        record.task.split("_")[0] if record.task.startswith("vqa") else record.task for record in records
    } == set(TASKS)
    for record in records:
        prompt, answer = texts(record, template=template, box_frame="quarter")
        assert prompt.count("<image>") == len(record.images)
        assert prompt.count("<video>") == bool(record.video)
        assert answer
        assert not re.search(r"<(image|video)>|\ue000", answer)
    assert len({record.record_id for record in records}) == len(records)


def test_v1_shows_all_images_where_asked() -> None:
    records = made(full_row(2, n_images=3), images="all")
    for record in records:
        assert texts(record)[0].count("<image>") == len(record.images)
    assert {len(record.images) for record in records} == {0, 3}
    assert {len(r.images) for r in made(full_row(2, n_images=3))} == {0, 1}
    with pytest.raises(ValidationError, match="one picture"):
        TaskOptions(template="published", images="all")


def test_the_first_current_image_is_shown_though_a_prior_comes_first() -> None:
    row = full_row(2, n_images=3)
    roles = ["prior", "current", "lateral"]
    row["image_info"] = [{**info, "role": role} for info, role in zip(row["image_info"], roles, strict=True)]
    assert {image.image_index for r in made(row) for image in r.images} == {1}


def test_published_quirks_are_there_and_only_there() -> None:
    row = full_row(1)
    published = made(row, template="published", box_frame="quarter")
    own = made(row)
    (whole,) = of_task(published, "global_order")
    answer = texts(whole, template="published", box_frame="quarter")[1]
    assert re.fullmatch(r"<seq>[0-2]{3}</seq><description>.* \.</descriptions>", answer)
    boxes = texts(of_task(published, "boxes_from_sentence")[1], template="published", box_frame="quarter")
    assert re.search(r"visual clues: \[.*\], observation: \[", boxes[0])
    number = r"(?:\(\d+,\d+\))"
    assert re.fullmatch(rf"visual clues : \[(?:{number}{{3}},?)+\] observation : \[{number}{{3}}\]", boxes[1])
    clip = texts(of_task(published, "finding_from_clip")[0], template="published", box_frame="quarter")
    assert clip[1] == PHRASES[0].removesuffix(" .")
    for record in own:
        answer = texts(record)[1]
        assert "descriptions" not in answer
        assert "<seq>" not in answer
        assert " ." not in answer


def test_published_boxes_are_cut_as_the_scripts_cut_them() -> None:
    # The one worked example that is known of the published scripts.
    row = full_row(1)
    frame = next(f for f in row["keyframes"] if f["kind"] == "cluster")
    frame["box_q"], frame["centroid_q"] = [353.0, 135.0, 539.0, 320.0], [400.9, 200.2]
    record = of_task(made(row, template="published", box_frame="quarter"), "boxes_from_sentence")[0]
    answer = texts(record, template="published", box_frame="quarter")[1]
    assert answer.startswith("visual clues : [(353,135)(538,319)(400,200)]")


def test_quarter_pictures_are_a_quarter_of_the_matrix() -> None:
    for record in made(full_row(1), template="published", box_frame="quarter"):
        for shown in (*record.images, *record.video):
            assert (shown.size.width_px, shown.size.height_px) == (MATRIX_PX[0] // 4, MATRIX_PX[1] // 4)


def test_the_indication_is_told_where_it_is_wanted() -> None:
    row = full_row(1)
    assert any("shortness of breath" in texts(r)[0] for r in made(row))
    assert not any("shortness of breath" in texts(r)[0] for r in made(row, with_indication=False))
    assert not any("Indication" in texts(r)[0] for r in made({**row, "indication": None}))


def test_a_prompt_does_not_hold_its_answer() -> None:
    for row in varied_rows():
        for record in made(row):
            prompt, answer = texts(record)
            assert answer not in prompt or record.type in {"letter", "presence", "given"}
            if record.task in {"report_from_gaze", "report_from_image", "grounded_report", "global_order"}:
                assert not any(phrase.removesuffix(" .") in prompt for phrase in PHRASES)
            assert not list(places_in(record.prompt))


def test_the_answer_of_an_order_gives_the_clip_back() -> None:
    row = full_row(1)
    true = [f["picture"]["bytes"] for f in row["keyframes"] if f["kind"] == "holistic"]
    (record,) = of_task(made(row), "global_order")
    order = re.search(r"order: ([\d, ]+)", texts(record)[1])
    assert order
    shown = [frame.content for frame in record.video]
    assert [shown[int(number) - 1] for number in order.group(1).split(",")] == true


def test_an_order_is_told_by_no_name_and_no_habit() -> None:
    """Sorting the frames by name solves no more than chance does, and no answer comes up more often than others."""
    solved, answers = 0, Counter[str]()
    records = [
        record
        for number in range(1, 41)
        for record in made(full_row(number), tasks=["global_order"], n_shuffles=1)
    ]
    assert len(records) == 40
    for record in records:
        answer = texts(record)[1].split("\n")[0]
        names = [frame.name for frame in record.video]
        assert not any(record.reading_id in name or "_k" in name for name in names)
        by_name = ", ".join(str(names.index(name) + 1) for name in sorted(names))
        solved += answer == f"order: {by_name}"
        answers[answer] += 1
    # Of five orders (their own is never shown) each comes in a fifth; 20 of 40 has a chance of 1 in 70,000.
    assert solved < 20
    assert len(answers) == 5
    assert max(answers.values()) < 20
    assert "order: 1, 2, 3" not in answers


def test_two_frames_are_not_asked_for() -> None:
    row = full_row(1)
    reasons = [
        r.reason for _, r in records_of(row, TaskOptions(tasks=("finding_order",))) if isinstance(r, LeftOut)
    ]
    assert reasons == ["too few frames for an order that is not known"]
    assert {len(r.video) for r in made(row, tasks=["finding_order"])} == {3, 4}


def test_shuffles_are_seeded() -> None:
    def orders(seed: int) -> list[str]:
        return [
            texts(r)[1] for n in range(1, 9) for r in made(full_row(n), tasks=["finding_order"], seed=seed)
        ]

    assert orders(1) == orders(1) != orders(2)


def test_labels_are_words_within_a_question() -> None:
    row = full_row(1)
    for finding, label in zip(row["findings"], ("Pleural Effusion", "COPD", "Lung opacity ."), strict=True):
        finding["label"] = label
    asked = " ".join(texts(record)[0] for record in of_task(made(row), "vqa"))
    for words in ("show pleural effusion?", "show COPD?", "show lung opacity.?"):
        assert words in asked


def test_questions_say_who_made_them() -> None:
    records = of_task(made(full_row(1)), "vqa")
    by_source = Counter(record.source for record in records)
    assert by_source["imported"] == 1
    assert set(by_source) == {"imported", "rule:findings", "rule:regions", "rule:letters"}
    (given_pair,) = [record for record in records if record.source == "imported"]
    assert texts(given_pair)[1] == "yes"
    assert "is the heart enlarged" in texts(given_pair)[0]
    asked = {
        texts(r)[0].partition("radiograph show ")[2].partition("?")[0]: texts(r)[1]
        for r in records
        if r.type == "presence" and r.source != "imported"
    }
    assert asked == {"cardiomegaly": "yes", "pleural effusion": "yes", "pneumothorax": "no"}


def test_reference_lesions_make_no_question_and_no_box() -> None:
    row = full_row(1)
    finding = {**row["findings"][0], "label": "hidden lesion", "finding_id": "t1"}
    with_truth = {**row, "truth": [finding]}
    assert [texts(r) for r in made(with_truth)] == [texts(r) for r in made(row)]


def test_words_that_look_like_control_tokens_are_harmless() -> None:
    row = full_row(1)
    row["sentences"][0]["text"] = "see <image> and <|im_end|> <video> <bbox> ."
    for record in made(row):
        prompt, answer = texts(record)
        assert prompt.count("<image>") == len(record.images)
        assert not re.search(r"<\|?(image|video|bbox|im_end)", answer)
    assert neutral("a < b > c") == "a < b > c"


def test_prompts_have_no_word_that_privacy_would_take_out() -> None:
    lexicon = load_lexicon()
    for template, task in itertools.product(TEMPLATES, load_prompts("v1").tasks):
        wording = load_prompts(template).tasks[task]
        plain = re.sub(
            r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", f"{wording.prompt} {wording.answer}", flags=re.DOTALL
        )
        for word in re.findall(rf"[A-Za-z]{{{MIN_WORD_LETTERS},}}", plain):
            assert lexicon.knows(word.lower()), (template, task, word)
