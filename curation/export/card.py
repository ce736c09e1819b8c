"""The dataset card: what is in it, in words for people and in YAML for Hugging Face."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Self

from curation.export.schema import SHARD_SCHEMA_VERSION
from curation.export.splits import SPLITS
from curation.ingest.terms import LICENCES, TERMS
from gazecapture import __version__
from keyframes.reading import ReadingMeta

__all__ = ["CardFacts", "ReadingFacts", "citations_of", "dataset_card", "licences_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFacts:
    """What the card counts of one reading; a dataset may have 100,000, so it is little."""

    source_format: str
    source_licence: str
    synthetic: bool
    reader_code: str
    study_key: str

    @classmethod
    def of(cls, meta: ReadingMeta) -> Self:
        """Take them from a reading's scalars; what many readings share is kept once."""
        return cls(
            source_format=sys.intern(meta.source_format),
            source_licence=sys.intern(meta.source_licence),
            synthetic=meta.synthetic,
            reader_code=sys.intern(meta.reader_code),
            study_key=sys.intern(meta.study_key),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What the card says."""

    metas: Sequence[ReadingFacts]
    splits: Mapping[str, str]
    n_keyframes: int
    n_fixations: int
    keyframe_profiles: Set[str]
    region_schemes: Set[str]
    config_hash: str
    access_tier: str = "local-only"
    """Of the whole: the strictest of its readings."""
    gaze_tier: str = "fixations"


def licences_of(facts: CardFacts) -> list[str]:
    """Return the licences of the sources, in order: a mixture is bound by them all."""
    return sorted({meta.source_licence for meta in facts.metas} & LICENCES)


def citations_of(facts: CardFacts) -> list[str]:
    """Return what is to be cited for the published datasets in it, in order."""
    formats = {meta.source_format for meta in facts.metas} & TERMS.keys()
    return sorted({citation for name in formats for citation in TERMS[name].citations})


def dataset_card(facts: CardFacts) -> str:
    """Return README.md of a dataset."""
    counts = Counter(facts.splits.values())
    cited = (
        "\n".join(f"- {citation}" for citation in citations_of(facts))
        or "Nothing: no published dataset is in it."
    )
    licences = "; ".join(licences_of(facts)) or "not stated"
    generated = sum(meta.synthetic for meta in facts.metas)
    readers = len({meta.reader_code for meta in facts.metas})
    studies = len({meta.study_key for meta in facts.metas})
    files = "\n".join(
        f"  - split: {'validation' if split == 'validate' else split}\n    path: readings/{split}-*.parquet"
        for split in SPLITS
        if counts[split]
    )
    note = (
        f"**{generated} of {len(facts.metas)} readings are generated, not recorded from people.** "
        "Use them to try software, never to draw conclusions about radiologists.\n\n"
        if generated
        else ""
    )
    rows = "\n".join(f"| {split} | {counts[split]} |" for split in SPLITS)
    return f"""---
license: other
task_categories:
- image-to-text
- visual-question-answering
tags:
- eye-tracking
- radiology
- radiograph
configs:
- config_name: default
  data_files:
{files}
---

# Readings with gaze, key frames and trajectories

{note}Research use only, not for diagnosis. Gaze identifies people: treat every row as personal data of its reader.

| | |
|---|---|
| readings | {len(facts.metas)} |
| studies | {studies} |
| readers | {readers} |
| fixations | {facts.n_fixations} |
| key frames | {facts.n_keyframes} |
| access tier | {facts.access_tier} |
| gaze tier | {facts.gaze_tier} |
| licences of the sources | {licences} |
| shard format | {SHARD_SCHEMA_VERSION} |
| made by | gazecapture {__version__}, settings {facts.config_hash} |

| split | readings |
|---|---|
{rows}

## How to read it

    datasets.load_dataset("parquet", data_files="readings/*.parquet")

One row is one reading. Coordinates are px of the stored matrix (`image_info.matrix_width_px`), whatever size the
picture in `images` has; boxes are half-open `[x0, y0, x1, y1]`; times are ns since image on. `hdf5/` holds the same
rows. Columns `truth` are reference lesions for measures only: do not train on them unasked.
`dataset.json` lists every file with its SHA-256; `gazecurate verify` checks them.

| folder | what it holds |
|---|---|
| `readings/`, `hdf5/` | the rows, in two formats |
| `tables/` | the same as tidy CSV for R and pandas, with `codebook.md` |
| `samples/`, `events/` | gaze as measured and its events, where the gaze tier lets them out |
| `images/` | de-identified originals |
| `views/` | layouts of other programs |
| `croissant.json` | the description for catalogues |

## Known limits

Regions of the built-in atlas are coarse. Readers are few and have habits: compare readers before pooling them. Gaze is
as accurate as its tracker (`gaze_quality.accuracy_deg`); a fixation on one region may belong to its neighbour.

## To cite

{cited}

## How the gaze became rows

Fixations by the method named in the settings, regions from the provider named in `regions.provider` with its
confidence, letters by scheme {_names(facts.region_schemes)}, key frames by profile {_names(facts.keyframe_profiles)}.
Words that are, or nearly are, names from the pictures' headers stand as
`[redacted]`. A split never separates the studies of a patient.
"""


def _names(names: Set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
