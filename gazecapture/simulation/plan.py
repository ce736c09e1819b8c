"""A whole reading, planned when the image comes on: what is looked at, said, done to the display and marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gazecapture.session.schema import TruthLesion
from gazecapture.simulation.content import StudyContent
from gazecapture.simulation.dictation import SpokenSentence, choose_utterances
from gazecapture.simulation.display import DisplayPlan, PlannedAction
from gazecapture.simulation.gestures import plan_gestures
from gazecapture.simulation.oculomotor import EyePath
from gazecapture.simulation.randomness import generator
from gazecapture.simulation.scanpath import ScanpathWalker, idle_point
from gazecapture.simulation.schedule import Schedule, make_schedule, n_sentences_for, that_fit
from gazecapture.simulation.style import ReaderStyle
from gazecapture.simulation.targets import TargetSampler
from gazecapture.viewer.model import ImageView, Panel
from keyframes.geometry import Display
from keyframes.regions.schemes import DEFAULT_SCHEME, load_scheme

__all__ = ["DEFAULT_DURATION_S", "Mark", "ReadingPlan", "plan_reading"]

DEFAULT_DURATION_S = 25.0
"""s; image on to image off of a planned reading."""
MARK_AFTER_S = 0.05
"""s after the full stop that a lesion is marked."""
BOX_JITTER_SHARE = 0.04
"""SD by which each edge of a marked box differs from the lesion's, as a share of its size."""
CERTAINTY = (0.95, 0.75)
"""What the simulated reader answers: two of the five levels that people choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A finding that the reader marks; field names as in `gazecapture.session.schema.ANNOTATIONS`."""

    t_s: float
    """s since image on."""
    finding_id: str
    label: str
    present: bool
    certainty: float
    image_index: int | None
    box: tuple[float, float, float, float] | None
    lesion_id: str
    """`TruthLesion.finding_id` of what was marked; the reader does not know it."""
    sentence_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """Everything about one reading; all times in s since image on."""

    reading_number: int
    study_id: str
    duration_s: float
    """When the reader asks for the next study."""
    area: tuple[float, float, float, float]
    """Screen px in which the viewports were planned."""
    path: EyePath
    sentences: tuple[SpokenSentence, ...]
    actions: tuple[PlannedAction, ...]
    marks: tuple[Mark, ...]
    schedule: Schedule
    content: StudyContent


def plan_reading(
    style: ReaderStyle,
    content: StudyContent,
    *,
    reading_number: int,
    display: Display,
    area: tuple[float, float, float, float],
    images: Sequence[ImageView],
    panels: Sequence[Panel] = (),
    duration_s: float = DEFAULT_DURATION_S,
) -> ReadingPlan:
    """Plan one reading; the same arguments give the same plan.

    area, images, panels : as the viewer shows them. Raises GeometryError where the display knows no degrees.
    """
    name = (style.seed, content.study_id)
    rng = generator("reading", *name)
    scheme = load_scheme(DEFAULT_SCHEME)
    utterances = choose_utterances(content, style, scheme, rng, n_sentences=n_sentences_for(duration_s, rng))
    utterances = that_fit(utterances, style, duration_s=duration_s)
    schedule = make_schedule(utterances, style, rng, duration_s=duration_s)
    display_plan = DisplayPlan(reading_number=reading_number, area=area, images=images, panels=panels)
    walker = ScanpathWalker(
        style=style,
        display=display,
        display_plan=display_plan,
        sampler=TargetSampler(content, scheme, display, generator("targets", *name)),
        rng=generator("eyes", *name),
        start_screen_px=idle_point(display),
    )
    gestures = plan_gestures(schedule, images, generator("gestures", *name))
    scanpath = walker.walk(schedule, gestures)
    path = EyePath(
        name=name,
        display=display,
        states=display_plan.states(),
        fixations=scanpath.fixations,
        saccades=scanpath.saccades,
        psos=scanpath.psos,
        blinks=scanpath.blinks,
        losses=scanpath.losses,
    )
    return ReadingPlan(
        reading_number=reading_number,
        study_id=content.study_id,
        duration_s=schedule.duration_s,
        area=area,
        path=path,
        sentences=schedule.sentences,
        actions=tuple(display_plan.actions),
        marks=_marks(schedule.sentences, content, name),
        schedule=schedule,
        content=content,
    )


def _marks(
    sentences: Sequence[SpokenSentence], content: StudyContent, name: tuple[int, str]
) -> tuple[Mark, ...]:
    rng = generator("marks", *name)
    marks: list[Mark] = []
    for index, sentence in enumerate(sentences):
        lesion = sentence.utterance.lesion
        if lesion is None:
            continue
        marks.append(
            Mark(
                t_s=sentence.t_end_s + MARK_AFTER_S,
                finding_id=f"F{len(marks) + 1:02d}",
                label=lesion.label,
                present=lesion.present,
                certainty=float(rng.choice(CERTAINTY)),
                image_index=lesion.image_index if lesion.present else None,
                box=_drawn_box(lesion, content, rng.normal(0.0, BOX_JITTER_SHARE, 4).tolist()),
                lesion_id=lesion.finding_id,
                sentence_index=index,
            )
        )
    return tuple(marks)


def _drawn_box(
    lesion: TruthLesion, content: StudyContent, jitter: Sequence[float]
) -> tuple[float, float, float, float] | None:
    region_map = None if lesion.image_index is None else content.maps.get(lesion.image_index)
    if not lesion.present or lesion.box is None or region_map is None:
        return None
    x0, y0, x1, y1 = lesion.box
    w, h = x1 - x0, y1 - y0
    return (
        max(0.0, x0 + jitter[0] * w),
        max(0.0, y0 + jitter[1] * h),
        min(float(region_map.width_px), x1 + jitter[2] * w),
        min(float(region_map.height_px), y1 + jitter[3] * h),
    )
