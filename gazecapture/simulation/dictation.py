"""What the simulated reader says: sentences, what each is about, and when each word is spoken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gazecapture.radiograph.phantom_findings import CATALOGUE, NO_FINDING
from gazecapture.session.schema import TruthLesion
from gazecapture.simulation.content import StudyContent
from gazecapture.simulation.style import ReaderStyle
from keyframes.regions.schemes import Scheme

__all__ = [
    "NEUTRAL",
    "Place",
    "SpokenSentence",
    "SpokenWord",
    "Utterance",
    "choose_utterances",
    "speak",
    "speaking_time_s",
]

FULL_STOP_S = 0.28
"""s that the dictated word for the full stop takes."""
WORD_GAP_S = 0.03
"""s between two words of a sentence."""
_NORMAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The trachea is in the midline", ("trachea",)),
    ("The carina and main bronchi are normal", ("carina", "trachea")),
    ("The right lung is clear", ("right upper lung zone", "right mid lung zone", "right lower lung zone")),
    ("The left lung is clear", ("left upper lung zone", "left mid lung zone", "left lower lung zone")),
    ("The costophrenic angles are sharp", ("right costophrenic angle", "left costophrenic angle")),
    ("The heart is normal in size", ("cardiac silhouette",)),
    ("Both hila are normal in size", ("right hilar structures", "left hilar structures")),
    ("The aortic arch is unremarkable", ("aortic arch",)),
    ("The diaphragm is smooth on both sides", ("right hemidiaphragm", "left hemidiaphragm")),
    ("The clavicles are intact", ("right clavicle", "left clavicle")),
    ("The spine shows no abnormality", ("spine",)),
)
"""What is said about a normal step, and the regions that it is about; the first gives the letter."""
NEUTRAL = (
    "There is an abnormality here",
    "This area is not normal",
    "Something is seen in this place",
)
"""Said of a present lesion where the words must not tell which one is meant."""
_COMPARISON = "Compared with the prior radiograph the"
_LETTERS = "ABCDEF"
COMPARED_SHARE = 0.5
"""Of the normal sentences of a study with a prior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something to look at: a box in image px, or regions of the true map by name."""

    image_index: int
    regions: tuple[str, ...] = ()
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One sentence to be said and what it is about."""

    text: str
    """Without its full stop."""
    letter: str
    places: tuple[Place, ...]
    lesion: TruthLesion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """One word with its time, s since image on."""

    word: str
    t_start_s: float
    t_end_s: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenSentence:
    """One sentence as spoken; its last word is the full stop."""

    utterance: Utterance
    words: tuple[SpokenWord, ...]

    @property
    def t_start_s(self) -> float:
        """Start of the first word."""
        return self.words[0].t_start_s

    @property
    def t_end_s(self) -> float:
        """End of the full stop."""
        return self.words[-1].t_end_s

    @property
    def text(self) -> str:
        """The sentence with its full stop."""
        return f"{self.utterance.text}."


def choose_utterances(
    content: StudyContent, style: ReaderStyle, scheme: Scheme, rng: np.random.Generator, *, n_sentences: int
) -> tuple[Utterance, ...]:
    """Choose what this reader says about a study, in the order of the reader's style.

    Every present lesion that the reader does not overlook gets its sentence (where the content is neutral, every one,
    in words that don't tell them apart); negatives and normal steps fill up to ``n_sentences``. A map without any
    known region gives fewer.
    """
    miss_share = 0.0 if content.neutral else style.miss_share
    found = [le for le in content.lesions if le.present and rng.random() >= miss_share]
    absent = [le for le in content.lesions if not le.present and le.label != NO_FINDING]
    chosen = [u for le in found if (u := _positive(content, le, scheme, rng)) is not None]
    room = max(0, n_sentences - len(chosen))
    negatives = [u for le in absent if (u := _negative(content, le, scheme)) is not None]
    rng.shuffle(negatives)
    # Half of the room at most for negatives: a normal study is dictated by steps, not by what it lacks.
    chosen += negatives[: room - room // 2]
    ill = {_letter(le, scheme) for le in content.lesions if le.present and le.label != NO_FINDING}
    chosen += _normal(content, style, scheme, rng, without=ill, room=n_sentences - len(chosen))
    order = rng.permutation(len(chosen))
    mixed = [chosen[i] for i in order]
    match style.kind:
        case "systematic":
            # Within a letter from the top down and from the picture's left to its right: a search that is systematic
            # does not choose at random there either.
            mixed.sort(key=lambda u: (_LETTERS.find(u.letter), *_height_and_side(content, u.places)))
        case "finding_driven":
            mixed.sort(key=lambda u: u.lesion is None or not u.lesion.present)
        case "free":
            pass
    return tuple(mixed)


def speaking_time_s(text: str, words_per_s: float) -> float:
    """Return how long a sentence takes with its full stop, s."""
    words = text.split()
    return len(words) / words_per_s + FULL_STOP_S


def speak(
    utterance: Utterance, *, start_s: float, words_per_s: float, rng: np.random.Generator
) -> SpokenSentence:
    """Give each word its time; longer words take longer, the sentence as a whole takes `speaking_time_s`."""
    words = utterance.text.split()
    total_s = len(words) / words_per_s
    weights = np.array([0.6 + _syllables(word) for word in words]) * rng.uniform(0.85, 1.15, len(words))
    ends = start_s + np.cumsum(weights) / weights.sum() * total_s
    starts = np.concatenate([[start_s], ends[:-1]])
    spoken = [
        SpokenWord(
            word=word,
            t_start_s=float(start),
            t_end_s=float(end - WORD_GAP_S),
            confidence=round(float(rng.uniform(0.85, 0.99)), 3),
        )
        for word, start, end in zip(words, starts, ends, strict=True)
    ]
    stop_s = float(ends[-1])
    spoken.append(SpokenWord(word=".", t_start_s=stop_s, t_end_s=stop_s + FULL_STOP_S, confidence=0.99))
    return SpokenSentence(utterance=utterance, words=tuple(spoken))


def _syllables(word: str) -> int:
    return max(1, len(re.findall(r"[aeiouy]+", word.lower())))


def _letter(lesion: TruthLesion, scheme: Scheme) -> str:
    entry = CATALOGUE.get(lesion.label)
    names = () if entry is None else tuple(entry.region_names)
    return _letter_of_regions(names, scheme)


def _letter_of_regions(names: Sequence[str], scheme: Scheme) -> str:
    known = [name for name in names if name in scheme]
    return scheme.letter_of(known[0] if known else scheme.outside)


def _positive(
    content: StudyContent, lesion: TruthLesion, scheme: Scheme, rng: np.random.Generator
) -> Utterance | None:
    entry = CATALOGUE.get(lesion.label)
    places = _lesion_places(content, lesion)
    if entry is None or not places:
        return None
    sentences = entry.positive_sentences
    if content.neutral and lesion.label != NO_FINDING:
        sentences = NEUTRAL
    text = str(rng.choice(list(sentences)))
    return Utterance(text=_plain(text), letter=_letter(lesion, scheme), places=places, lesion=lesion)


def _negative(content: StudyContent, lesion: TruthLesion, scheme: Scheme) -> Utterance | None:
    entry = CATALOGUE.get(lesion.label)
    if entry is None:
        return None
    places = _region_places(content, entry.region_names)
    if not places:
        return None
    # What is not there is denied where it is looked for: of a device that is absent, with the lungs, not with devices.
    letter = _letter_of_regions(places[0].regions, scheme)
    return Utterance(text=_plain(entry.negative_sentence), letter=letter, places=places, lesion=lesion)


def _normal(
    content: StudyContent,
    style: ReaderStyle,
    scheme: Scheme,
    rng: np.random.Generator,
    *,
    without: set[str],
    room: int,
) -> list[Utterance]:
    """Choose normal sentences, one per letter before a second of any."""
    skipped = {letter for letter in _LETTERS if rng.random() < style.skip_share}
    options = []
    for text, regions in _NORMAL:
        letter = _letter_of_regions(regions, scheme)
        places = _region_places(content, regions)
        if places and letter not in without:
            options.append(Utterance(text=text, letter=letter, places=places))
    # A step that the reader leaves out is said only where nothing else is left to say.
    options = [o for o in options if o.letter not in skipped] or options
    turns: Counter[str] = Counter()
    ranked = []
    for option in (options[i] for i in rng.permutation(len(options))):
        ranked.append((turns[option.letter], option))
        turns[option.letter] += 1
    ranked.sort(key=lambda pair: pair[0])
    return [_compared_or_not(option, rng) for _, option in ranked[: max(0, room)]]


def _compared_or_not(utterance: Utterance, rng: np.random.Generator) -> Utterance:
    """Where there is a prior, compare with it half of the time; else look at the current image alone."""
    if len(utterance.places) > 1 and utterance.text.startswith("The ") and rng.random() < COMPARED_SHARE:
        return replace(utterance, text=f"{_COMPARISON} {utterance.text.removeprefix('The ')}")
    return replace(utterance, places=utterance.places[:1])


def _height_and_side(content: StudyContent, places: Sequence[Place]) -> tuple[float, float]:
    """Return middle down and across of what a sentence is about, as shares of its picture."""
    region_map = content.maps[places[0].image_index]
    first = places[0]
    boxes = [first.box] if first.box is not None else [region_map.regions[name].box for name in first.regions]
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]
    return (
        sum(y for _, y in middles) / len(middles) / region_map.height_px,
        sum(x for x, _ in middles) / len(middles) / region_map.width_px,
    )


def _lesion_places(content: StudyContent, lesion: TruthLesion) -> tuple[Place, ...]:
    """Return the lesion's box (without one: its regions), and the same part of every other image to compare with."""
    index = lesion.image_index
    if lesion.box is None:
        entry = CATALOGUE.get(lesion.label)
        return () if entry is None else _region_places(content, entry.region_names)
    if index is None or index not in content.maps:
        return ()
    here = content.maps[index]
    places = [Place(image_index=index, box=lesion.box)]
    for other, there in content.maps.items():
        if other == index:
            continue
        x0, y0, x1, y1 = lesion.box
        sx, sy = there.width_px / here.width_px, there.height_px / here.height_px
        places.append(Place(image_index=other, box=(x0 * sx, y0 * sy, x1 * sx, y1 * sy)))
    return tuple(places)


def _region_places(content: StudyContent, regions: Sequence[str]) -> tuple[Place, ...]:
    places = []
    for index, region_map in sorted(content.maps.items()):
        known = tuple(name for name in regions if name in region_map.regions)
        if known:
            places.append(Place(image_index=index, regions=known))
    return tuple(places)


def _plain(text: str) -> str:
    """Drop the written full stop: it is dictated as a word of its own."""
    return text.strip().rstrip(".")
