"""What a simulated reading is made of."""

from __future__ import annotations

import dataclasses
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.radiograph.phantom_findings import CATALOGUE
from gazecapture.radiograph.presets import Preset
from gazecapture.session.schema import TruthLesion
from gazecapture.simulation.content import StudyContent, generic_content
from gazecapture.simulation.dictation import speaking_time_s
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.simulation.plan import ReadingPlan, plan_reading
from gazecapture.simulation.style import ReaderStyle
from gazecapture.viewer.model import ImageView, Panel
from keyframes.errors import GeometryError
from keyframes.geometry import Display
from keyframes.regions.assignment import primary_region
from keyframes.regions.schemes import DEFAULT_SCHEME, load_scheme

AREA = (0.0, 40.0, 1920.0, 1080.0)
PRESETS = (
    Preset(preset_id="window:0", name="default", center=2048.0, width=4096.0, voi="LINEAR"),
    Preset(preset_id="window:1", name="narrow", center=2048.0, width=1500.0, voi="LINEAR"),
)
LESIONS = (
    TruthLesion(
        finding_id="L1", label="Consolidation", present=True, image_index=0, box=(400.0, 1500.0, 650.0, 1750.0),
        source="phantom",
    ),
    TruthLesion(
        finding_id="L2", label="Pneumothorax", present=False, image_index=None, box=None, source="phantom"
    ),
)  # fmt: skip
SEEDS = st.integers(0, 5000)


def images(n: int = 1) -> tuple[ImageView, ...]:
    return tuple(ImageView(image_index=i, width_px=2048, height_px=2500, presets=PRESETS) for i in range(n))


def content(name: str = "S1", n_images: int = 1, lesions: tuple[TruthLesion, ...] = LESIONS) -> StudyContent:
    return dataclasses.replace(generic_content(name, images(n_images)), lesions=lesions)


@cache
def plan(
    seed: int,
    *,
    name: str = "S1",
    n_images: int = 1,
    panels: tuple[Panel, ...] = (),
    duration_s: float = 25.0,
) -> ReadingPlan:
    return plan_reading(
        ReaderStyle.from_seed(seed),
        content(name, n_images),
        reading_number=1,
        display=VIRTUAL_DISPLAY,
        area=AREA,
        images=images(n_images),
        panels=panels,
        duration_s=duration_s,
    )


@settings(max_examples=12, deadline=None)
@given(SEEDS, st.integers(1, 2))
def test_events_follow_each_other_without_gap_or_overlap(seed: int, n_images: int) -> None:
    path = plan(seed, n_images=n_images).path
    starts = {p.t_end_s: p.t_start_s for p in path.psos}
    spans = [(starts.get(f.t_start_s, f.t_start_s), f.t_end_s) for f in path.fixations]
    spans += [(s.t_start_s, s.t_end_s) for s in path.saccades]
    spans += [(b.t_start_s, b.t_end_s) for b in path.blinks]
    spans.sort()
    assert spans[0][0] == 0.0
    for (_, end), (start, _) in pairwise(spans):
        assert start == pytest.approx(end, abs=1e-9)
    assert all(end > start for start, end in spans)


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_a_reading_of_25_s_has_4_to_6_sentences_that_end_with_a_full_stop(seed: int) -> None:
    reading = plan(seed)
    assert reading.duration_s == pytest.approx(25.0)
    assert 4 <= len(reading.sentences) <= 6
    for sentence in reading.sentences:
        assert sentence.words[-1].word == "."
        assert all("." not in word.word for word in sentence.words[:-1])
        ends = [t for word in sentence.words for t in (word.t_start_s, word.t_end_s)]
        assert ends == sorted(ends)
    for before, after in pairwise(reading.sentences):
        assert after.t_start_s > before.t_end_s
    assert reading.sentences[-1].t_end_s < reading.duration_s


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_the_eyes_are_on_a_sentence_from_its_lead_on_and_search_in_between_only(seed: int) -> None:
    reading = plan(seed)
    schedule = reading.schedule
    assert schedule.intervals[0].t_start_s == 0.0
    assert schedule.intervals[-1].t_end_s == pytest.approx(reading.duration_s)
    for before, after in pairwise(schedule.intervals):
        assert after.t_start_s == before.t_end_s
    for interval in schedule.intervals:
        if interval.sentence_index is None:
            inside = [s for s in schedule.sentences if s.t_end_s <= interval.t_start_s + 1e-9]
            following = schedule.sentences[len(inside) :]
            assert all(s.t_start_s - interval.t_end_s >= 1.7 - 1e-9 for s in following)
        else:
            sentence = schedule.sentences[interval.sentence_index]
            assert 1.7 - 1e-9 <= sentence.t_start_s - interval.t_start_s <= 2.3 + 1e-9
    assert [i.sentence_index for i in schedule.intervals if i.sentence_index is not None] == list(
        range(len(reading.sentences))
    )


def test_the_lead_is_two_seconds_with_a_tenth_of_a_second_of_spread() -> None:
    leads = [
        reading.sentences[i.sentence_index].t_start_s - i.t_start_s
        for reading in (plan(seed) for seed in range(40))
        for i in reading.schedule.intervals
        if i.sentence_index is not None
    ]
    assert np.mean(leads) == pytest.approx(2.0, abs=0.03)
    assert np.std(leads) == pytest.approx(0.1, abs=0.03)


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_fixations_belong_to_the_sentence_whose_interval_they_lie_in(seed: int) -> None:
    reading = plan(seed)
    for fixation in reading.path.fixations[1:-1]:
        middle = (fixation.t_start_s + min(fixation.t_end_s, reading.duration_s)) / 2
        interval = next(i for i in reading.schedule.intervals if i.t_start_s <= middle <= i.t_end_s)
        if abs(middle - interval.t_start_s) > 0.05:
            assert fixation.sentence_index == interval.sentence_index


def test_a_lesion_that_is_found_is_looked_at_dictated_and_marked() -> None:
    found = 0
    for seed in range(30):
        reading = plan(seed)
        marks = [m for m in reading.marks if m.lesion_id == "L1"]
        if not marks:
            continue
        found += 1
        (mark,) = marks
        sentence = reading.sentences[mark.sentence_index]
        assert sentence.text.rstrip(".") + "." in CATALOGUE["Consolidation"].positive_sentences
        assert mark.t_s > sentence.t_end_s
        assert mark.box is not None
        assert np.allclose(mark.box, LESIONS[0].box or (), atol=0.2 * 250)
        looks = [
            f for f in reading.path.fixations if f.sentence_index == mark.sentence_index and not f.detour
        ]
        inside = [400 <= f.x <= 650 and 1500 <= f.y <= 1750 for f in looks]
        assert len(looks) >= 3
        assert all(inside)
    assert 22 <= found <= 30, "3 to 12 % of the lesions are overlooked"


def test_negatives_are_dictated_and_marked_as_absent() -> None:
    marks = [m for seed in range(20) for m in plan(seed).marks if m.lesion_id == "L2"]
    assert len(marks) >= 10
    assert all(not m.present and m.box is None and m.image_index is None for m in marks)


def test_a_systematic_reader_goes_from_a_to_f_and_the_others_do_not() -> None:
    orders: dict[str, list[bool]] = {"systematic": [], "free": [], "finding_driven": []}
    for seed in range(40):
        letters = [s.utterance.letter for s in plan(seed).sentences]
        orders[ReaderStyle.from_seed(seed).kind].append(letters == sorted(letters))
    assert all(orders["systematic"])
    assert np.mean(orders["free"]) < 0.3
    assert np.mean(orders["finding_driven"]) < 0.5


def test_a_systematic_reader_goes_down_within_a_letter() -> None:
    pairs = []
    for seed in range(2, 120, 3):
        reading = plan(seed)
        region_map = reading.content.maps[0]
        placed = []
        for sentence in reading.sentences:
            place = sentence.utterance.places[0]
            boxes = [place.box] if place.box else [region_map.regions[name].box for name in place.regions]
            placed.append((sentence.utterance.letter, np.mean([(box[1] + box[3]) / 2 for box in boxes])))
        pairs += [(a[1], b[1]) for a, b in pairwise(placed) if a[0] == b[0]]
    assert len(pairs) > 10
    assert all(upper <= lower + 1e-6 for upper, lower in pairs)


def test_a_systematic_reader_looks_at_what_has_the_letter_of_a_sentence() -> None:
    """Where a structure lies under another, at the part of it that is seen by itself; others look anywhere on it."""
    scheme = load_scheme(DEFAULT_SCHEME)
    shares: dict[str, list[bool]] = {"systematic": [], "others": []}
    for seed in range(60):
        reading = plan(seed)
        kind = "systematic" if ReaderStyle.from_seed(seed).kind == "systematic" else "others"
        region_map = reading.content.maps[0]
        for fixation in reading.path.fixations:
            if fixation.sentence_index is None or fixation.detour:
                continue
            utterance = reading.sentences[fixation.sentence_index].utterance
            place = utterance.places[0]
            boxes = [place.box] if place.box else [region_map.regions[name].box for name in place.regions]
            corners = np.array([(x, y) for x0, y0, x1, y1 in boxes for x in (x0, x1) for y in (y0, y1)])
            low, high = corners.min(0), corners.max(0)
            grid = np.stack(np.meshgrid(*np.linspace(low, high, 40).T), -1).reshape(-1, 2)
            letters = {scheme.letter_of(n) for n in primary_region(region_map, scheme, *grid.T)}
            if utterance.letter in letters:
                (name,) = primary_region(region_map, scheme, [fixation.x], [fixation.y])
                shares[kind].append(scheme.letter_of(name) == utterance.letter)
    assert len(shares["systematic"]) > 300
    assert np.mean(shares["systematic"]) > 0.9
    assert np.mean(shares["others"]) < np.mean(shares["systematic"]) - 0.1


def test_a_finding_driven_reader_speaks_of_findings_first() -> None:
    for seed in range(0, 40, 3):
        reading = plan(seed)
        if any(m.lesion_id == "L1" for m in reading.marks):
            lesion = reading.sentences[0].utterance.lesion
            assert lesion is not None
            assert lesion.present


def test_every_reading_zooms_and_fits_and_some_do_the_rest() -> None:
    kinds = [{a.action.kind for a in plan(seed).actions} for seed in range(40)]
    assert all({"zoom", "fit"} <= k for k in kinds)
    for kind in ("pan", "window", "preset", "one_to_one"):
        assert any(kind in k for k in kinds)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(1, 2))
def test_the_wheel_turns_about_the_point_looked_at_and_the_eye_stays(seed: int, n_images: int) -> None:
    reading = plan(seed, n_images=n_images)
    zooms = [a for a in reading.actions if a.action.kind == "zoom"]
    assert zooms
    for planned in zooms:
        around = planned.t_s + np.array([-1e-4, 1e-4])
        x, y = reading.path.screen(around, physiology=False)
        assert np.allclose(x, planned.action.x, atol=1e-6)
        assert np.allclose(y, planned.action.y, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(1, 2))
def test_every_target_is_in_its_viewport_while_it_is_looked_at(seed: int, n_images: int) -> None:
    reading = plan(seed, n_images=n_images)
    half = 1920.0 / n_images
    for fixation in reading.path.fixations[1:-1]:
        tau = np.linspace(fixation.t_start_s, fixation.t_end_s, 5)[:-1]
        x, y = reading.path.screen(tau, physiology=False)
        assert (x >= fixation.viewport_id * half).all()
        assert (x < (fixation.viewport_id + 1) * half).all()
        assert (y >= AREA[1]).all()
        assert (y < AREA[3]).all()


def test_nothing_is_looked_at_under_a_panel() -> None:
    panel = Panel(name="caption", rect=(0.0, 40.0, 900.0, 500.0))
    for seed in range(10):
        reading = plan(seed, panels=(panel,))
        for fixation in reading.path.fixations[1:-1]:
            x, y = reading.path.screen(np.array([fixation.t_start_s]), physiology=False)
            assert not (x[0] < 900 and y[0] < 500)


def test_a_study_with_a_prior_is_compared_with_it() -> None:
    shares = []
    for seed in range(12):
        looks = [f for f in plan(seed, n_images=2).path.fixations if f.image_index is not None]
        shares.append(np.mean([f.image_index == 1 for f in looks]))
    assert min(shares) > 0.02
    assert 0.1 < np.mean(shares) < 0.5


def test_fixation_durations_and_saccades_are_those_of_people() -> None:
    readings = [plan(seed) for seed in range(30)]
    durations = [f.t_end_s - f.t_start_s for r in readings for f in r.path.fixations[1:-2]]
    assert 0.2 < np.median(durations) < 0.3
    assert 0.3 < np.std(np.log(durations)) < 0.5
    assert min(durations) > 0.085
    amplitudes = [s.amplitude_deg for r in readings for s in r.path.saccades]
    assert 1.5 < np.median(amplitudes) < 6.0
    blinks = [b.t_end_s - b.t_start_s for r in readings for b in r.path.blinks]
    assert min(blinks) >= 0.1
    assert max(blinks) <= 0.25
    assert 3.0 < 30 * 25.0 / len(blinks) < 10.0


def test_same_arguments_same_plan_and_other_study_another() -> None:
    first, again, other = plan(5), plan(5), plan(5, name="S2")
    assert first.actions == again.actions
    assert first.path.fixations == again.path.fixations
    assert first.sentences == again.sentences
    assert first.path.fixations != other.path.fixations


def test_sentences_take_as_long_as_said() -> None:
    for sentence in plan(3).sentences:
        expected = speaking_time_s(sentence.utterance.text, ReaderStyle.from_seed(3).words_per_s)
        assert sentence.t_end_s - sentence.t_start_s == pytest.approx(expected)


def test_a_display_without_a_size_is_refused() -> None:
    with pytest.raises(GeometryError):
        plan_reading(
            ReaderStyle.from_seed(1),
            content(),
            reading_number=1,
            display=Display(width_px=1920, height_px=1080, width_mm=None, height_mm=None, distance_mm=None),
            area=AREA,
            images=images(),
        )


def test_a_content_without_regions_is_searched_all_the_same() -> None:
    bare = content()
    empty = dataclasses.replace(bare, maps={0: dataclasses.replace(bare.maps[0], regions={})}, lesions=())
    reading = plan_reading(
        ReaderStyle.from_seed(1), empty, reading_number=1, display=VIRTUAL_DISPLAY, area=AREA, images=images()
    )
    assert reading.sentences == ()
    assert len(reading.path.fixations) > 40
