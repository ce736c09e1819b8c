"""How one simulated reader reads: a seeded style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from gazecapture.simulation.randomness import generator

__all__ = ["KINDS", "ReaderKind", "ReaderStyle", "reader_seed"]

ReaderKind = Literal["finding_driven", "free", "systematic"]
KINDS: tuple[ReaderKind, ...] = ("finding_driven", "free", "systematic")
"""By seed modulo 3. Systematic comes last, so that of any consecutive readers from 0 on at most a third are."""

FIXATION_MEDIAN_S = (0.20, 0.26)
"""s; radiologists on chest radiographs fixate for 200 to 350 ms on average (Kundel and Nodine 1978; REFLACX)."""
FIXATION_LOG_SD = (0.36, 0.48)
"""Of the natural logarithm; right-skewed as in every reading study."""
LEAD_MEAN_S = 2.0
"""s the eyes run ahead of the words; the lead that the key-frame rules assume."""
LEAD_SD_S = 0.1
"""s from sentence to sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderStyle:
    """Habits of one reader; all shares are probabilities."""

    seed: int
    kind: ReaderKind
    """In which order things are said: findings first, in any, or from A to F and top to bottom; who goes by the letters
    also looks at what has the letter of a sentence, not at what lies over it."""
    fixation_median_s: float
    fixation_log_sd: float
    words_per_s: float
    lead_mean_s: float = LEAD_MEAN_S
    lead_sd_s: float = LEAD_SD_S
    miss_share: float
    """A present lesion is overlooked: neither looked for, nor dictated, nor marked."""
    skip_share: float
    """An ABCDEF step is left out of a reading."""
    revisit_share: float
    """A silent search fixation goes back to a place seen before."""
    detour_share: float
    """A fixation during a sentence leaves what the sentence is about."""
    prior_share: float
    """A silent search fixation goes to the prior, where there is one."""
    blink_interval_s: float

    @classmethod
    def from_seed(cls, seed: int) -> Self:
        """Return the reader of this seed."""
        rng = generator("style", seed)
        return cls(
            seed=seed,
            kind=KINDS[seed % len(KINDS)],
            fixation_median_s=float(rng.uniform(*FIXATION_MEDIAN_S)),
            fixation_log_sd=float(rng.uniform(*FIXATION_LOG_SD)),
            words_per_s=float(rng.uniform(2.3, 2.8)),
            miss_share=float(rng.uniform(0.03, 0.12)),
            skip_share=float(rng.uniform(0.05, 0.25)),
            revisit_share=float(rng.uniform(0.1, 0.3)),
            detour_share=float(rng.uniform(0.01, 0.05)),
            prior_share=float(rng.uniform(0.2, 0.4)),
            blink_interval_s=float(rng.uniform(4.0, 8.0)),
        )


def reader_seed(base_seed: int, reader_index: int, kind: ReaderKind | None = None) -> int:
    """Return the seed of the reader at 0-based place ``reader_index``; of R readers at most R/3 are systematic.

    kind : all readers are of this one. None: the kinds take turns.
    """
    if kind is not None:
        return len(KINDS) * (base_seed * 1009 + reader_index) + KINDS.index(kind)
    block, place = divmod(reader_index, len(KINDS))
    return len(KINDS) * (base_seed * 1009 + block) + place
