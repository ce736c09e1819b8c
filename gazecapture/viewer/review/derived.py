"""What curation would make of a reading, made at once where it is not there: events, sentences, regions, key frames.

With the defaults of each method; what `gazecurate run` makes by a lab's own settings comes first wherever it exists.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from gazecapture.radiograph.decode import Radiograph
from gazecapture.radiograph.film import Film
from gazecapture.radiograph.regions import PROVIDERS, regions_of_film
from keyframes.errors import GazeToolError
from keyframes.events import detect, on_images
from keyframes.fixations import Fixations
from keyframes.frames import toolkit_keyframes
from keyframes.inspection import inspection_summary, letter_coverage, region_coverage
from keyframes.looks import image_sizes
from keyframes.reading import EVENTS, REGIONS, Reading
from keyframes.regions.assignment import assign_regions, region_maps, region_table
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import Scheme, load_scheme
from keyframes.sentences import label_sentences, link_findings, split_sentences, supported_texts
from keyframes.trajectory import inspection_trajectory
from keyframes.validation import UNVALIDATED_ERROR_DEG, validation_error_deg

__all__ = ["completed", "film_of"]


def completed(
    reading: Reading, radiographs: Mapping[int, Radiograph], *, scheme: Scheme | None = None
) -> Reading:
    """Return the reading with the tables that a review shows; those that it has stay.

    radiographs : decoded pictures by image index, as far as they are at hand; without one there are no regions.

    A reading whose gaze has no scale in degrees has no events, and nothing that is made of them.
    """
    scheme = scheme or load_scheme()
    error_deg = validation_error_deg(reading.table("validations")) or UNVALIDATED_ERROR_DEG
    if "events" not in reading.tables:
        reading = reading.with_tables(events=_events(reading))
    words = reading.table("words")
    fresh = split_sentences(words)
    # Those of a store may hold what a person decided already; a review starts from what was said, and decides on that.
    if "sentences" not in reading.tables or _ids(reading.table("sentences")) == _ids(fresh):
        supported = supported_texts(words)
        linked = link_findings(
            label_sentences(fresh, supported), reading.table("findings"), supported=supported
        )
        reading = reading.with_tables(sentences=linked)
    events, gaze, images = (reading.table(name) for name in ("events", "gaze", "images"))
    sizes = image_sizes(images)
    if "regions" not in reading.tables:
        maps = _maps(reading, radiographs)
        reading = reading.with_tables(regions=region_table(maps, scheme) if maps else REGIONS.empty_table())
    maps = region_maps(reading.table("regions"), sizes)
    if "event_regions" not in reading.tables:
        reading = reading.with_tables(
            event_regions=assign_regions(events, gaze, maps, scheme, error_deg=error_deg)
        )
    if "keyframes" not in reading.tables:
        made = toolkit_keyframes(
            events,
            reading.table("sentences"),
            gaze,
            reading.table("display"),
            images,
            event_regions=reading.table("event_regions"),
            findings=reading.table("findings"),
            error_deg=error_deg,
        )
        reading = reading.with_tables(keyframes=made)
    if "inspection" in reading.tables:
        return reading
    visits = inspection_trajectory(events, reading.table("event_regions"))
    fixations = Fixations.of(events, gaze)
    covered = region_coverage(fixations, maps, scheme, error_deg=error_deg)
    return reading.with_tables(
        trajectory=visits,
        region_coverage=covered,
        letter_coverage=letter_coverage(visits, fixations, maps, scheme),
        inspection=inspection_summary(visits, covered, scheme),
    )


def film_of(radiograph: Radiograph, *, sha256: str = "") -> Film:
    """Return a decoded picture as the region providers take it."""
    return Film(
        width_px=radiograph.width_px,
        height_px=radiograph.height_px,
        grey8=radiograph.grey8(),
        sha256=sha256,
        view_position=radiograph.view_position,
        body_part=radiograph.body_part,
    )


def _events(reading: Reading) -> pa.Table:
    gaze, display = reading.table("gaze"), reading.meta.display
    if not gaze.num_rows or display is None or not display.knows_degrees:
        return EVENTS.empty_table()
    valid = gaze.column("valid").to_numpy(zero_copy_only=False)
    x, y = (np.where(valid, gaze.column(name).to_numpy(), np.nan) for name in ("x_screen_px", "y_screen_px"))
    return on_images(detect(gaze.column("t_ns").to_numpy() / 1e9, x, y, *display.px_per_deg()), gaze)


def _ids(sentences: pa.Table) -> set[str]:
    return set(sentences.column("sentence_id").to_pylist())


def _maps(reading: Reading, radiographs: Mapping[int, Radiograph]) -> dict[int, RegionMap]:
    found = {}
    for row in reading.table("images").to_pylist():
        index = int(row["image_index"])
        if index not in radiographs:
            continue
        try:
            known = regions_of_film(film_of(radiographs[index], sha256=row["sha256"]), PROVIDERS)
        except GazeToolError:
            known = None
        if known is not None:
            found[index] = known
    return found
