"""What the page shows, as values ready to be printed; the templates know nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from curation.report.hints import Figure
from curation.report.pictures import Picture

__all__ = [
    "Card",
    "Finding",
    "ImageView",
    "Issue",
    "LesionLook",
    "LetterLook",
    "ReadingView",
    "SentenceView",
    "Summary",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One row of the table of all readings."""

    reading_id: str
    split: str
    synthetic: bool
    duration_s: float
    rate_hz: float | None
    loss_share: float | None
    n_fixations: int
    n_sentences: int
    n_keyframes: int
    letters: tuple[str, ...]
    """In order of first visit."""
    n_issues: int
    severity: str
    """The worst one's; empty without issues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One key frame."""

    number: int
    kind: str
    picture: Picture | None
    image_name: str
    width_px: int
    height_px: int
    box: tuple[float, float, float, float] | None
    centroid: tuple[float, float] | None
    box_text: str
    letter: str
    region: str
    when: str
    dwell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceView:
    """A sentence, or a stretch of silence, with its key frames."""

    number: int | None
    """None: silence."""
    text: str
    when: str
    cards: tuple[Card, ...]
    findings: tuple[str, ...]
    without_gaze: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """One image with what the eyes did on it."""

    name: str
    size: str
    n_fixations: int
    dwell: str
    scanpath: Picture | None
    heat_map: Picture | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of the reader or reference lesion."""

    label: str
    state: str
    certainty: str
    image_name: str
    sentences: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterLook:
    """How one letter of the scheme was inspected on one image."""

    letter: str
    name: str
    image_name: str
    first: str
    dwell: str
    share: str
    n_visits: int
    covered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionLook:
    """What gaze did at one reference lesion."""

    label: str
    image_name: str
    first: str
    dwell: str
    visits: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue of the quality stage."""

    code: str
    severity: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingView:
    """All that the page shows of one reading."""

    reading_id: str
    facts: tuple[tuple[str, str], ...]
    thumbnail: Picture | None
    """For the gallery."""
    images: tuple[ImageView, ...]
    timeline: Picture | None
    transitions: Picture | None
    letter_names: tuple[tuple[str, str], ...]
    scheme: str
    dwell_by_letter: tuple[tuple[str, str], ...]
    letter_looks: tuple[LetterLook, ...]
    missed_regions: tuple[str, ...]
    lesion_looks: tuple[LesionLook, ...]
    sentences: tuple[SentenceView, ...]
    figures: tuple[Figure, ...]
    issues: tuple[Issue, ...]
    findings: tuple[Finding, ...]
    truth: tuple[Finding, ...]
