"""Events on the images that were shown."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.errors import DataError
from keyframes.events.detection import Events
from keyframes.events.labels import BLINK, FIXATION
from keyframes.events.samples import Samples
from keyframes.events.table import LOSS, Spans, event_table
from keyframes.reading import EVENTS, conform

__all__ = ["on_images"]

IntArray = NDArray[np.int64]

MIN_PART_S: Final = 0.040
"""s. A shorter part of a fixation joins its longer neighbour: noise at an image's edge must not cut a fixation to
pieces, and no fixation is shorter."""

OFF: Final = -1
"""On no image."""

UNKNOWN: Final = -2
"""Lost: says nothing about the image, and is left out of every vote."""


def on_images(events: Events, gaze: pa.Table) -> pa.Table:
    """Place events on the images of a reading.

    events : as `detect` gave them for the samples of ``gaze``.
    gaze   : `keyframes.reading.GAZE` with the same samples in the same order.

    Returns the table of events with ``x/y_image_px`` and ``image_index``, renumbered in time order. An event's image
    is the one that most of its samples fell on; its position is the mean of those in image px, each mapped through
    what was shown at its own moment. A change of the display starts and ends no event, except that a fixation is
    split where its image changes (a part under 40 ms joins its longer neighbour). On no image, and for blinks and
    losses: null and NaN. Screen columns are NaN where ``gaze`` has no screen px. Raises SchemaError (a column is
    missing), DataError (another number of samples).
    """
    gaze = conform("gaze", gaze)
    samples, row_of_sample = events.samples, events.samples.row_of_sample
    if gaze.num_rows != row_of_sample.size:
        raise DataError(
            f"on_images: events of {row_of_sample.size} samples, gaze table of {gaze.num_rows} rows",
            hint="Give the gaze table that the events were detected in.",
        )
    x, y, x_screen = (gaze.column(name).to_numpy() for name in ("x_image_px", "y_image_px", "x_screen_px"))
    image = gaze.column("image_index").fill_null(OFF).to_numpy().astype(np.int64)
    image = np.where(np.isfinite(x) & np.isfinite(y), image, OFF)
    image[(image == OFF) & ~np.isfinite(x_screen)] = UNKNOWN
    spans = _split_fixations(events.spans, samples, _image_of_row(image, samples))

    n_events = spans.codes.size
    x_mean, y_mean = np.full(n_events, np.nan), np.full(n_events, np.nan)
    images: list[int | None] = [None] * n_events
    bounds = np.searchsorted(row_of_sample, spans.rows)
    run_of = _runs(image)
    for event, ((start, end), code) in enumerate(zip(bounds.tolist(), spans.codes.tolist(), strict=True)):
        if code in (BLINK, LOSS):
            continue
        is_one = start < end and run_of[start] == run_of[end - 1]  # nearly all are
        winner = max(int(image[start]), OFF) if is_one else _winner(image[start:end])
        if winner != OFF:
            x_own, y_own = x[start:end], y[start:end]
            if not is_one:
                on = image[start:end] == winner
                x_own, y_own = x_own[on], y_own[on]
            images[event] = winner
            x_mean[event], y_mean[event] = x_own.mean(), y_own.mean()

    table = event_table(samples, events.velocity.speed_deg_per_s, spans)
    replaced = {
        "x_image_px": pa.array(x_mean, pa.float64()),
        "y_image_px": pa.array(y_mean, pa.float64()),
        "image_index": pa.array(images, pa.int16()),
    }
    if not np.isfinite(x_screen).any():
        nowhere = pa.array(np.full(n_events, np.nan), pa.float64())
        replaced |= {name: nowhere for name in EVENTS.names if name.endswith("_screen_px")}
    return pa.table([replaced.get(name, table.column(name)) for name in EVENTS.names], schema=EVENTS)


def _image_of_row(image: IntArray, samples: Samples) -> IntArray:
    """Return (m,) image of each row of the grid: of its first sample that knows one."""
    of_row = np.full(samples.n, UNKNOWN, np.int64)
    known = np.flatnonzero(image != UNKNOWN)[::-1]
    of_row[samples.row_of_sample[known]] = image[known]  # backward, so that the first of equal times stays
    return of_row


def _runs(image: IntArray) -> IntArray:
    """Return, of each sample or row, the number of the run of equal ones that it lies in."""
    return np.cumsum(np.diff(image, prepend=image[:1]) != 0)


def _winner(image: IntArray) -> int:
    """Return the image, or OFF, that most of these samples or rows are on."""
    votes = np.bincount(image - UNKNOWN)[OFF - UNKNOWN :]
    return int(np.argmax(votes)) + OFF if votes.any() else OFF


def _split_fixations(spans: Spans, samples: Samples, image_of_row: IntArray) -> Spans:
    """Return the spans with fixations cut where the image of their rows changes."""
    end_ns, run_of = samples.end_ns, _runs(image_of_row)
    rows: list[tuple[int, int]] = []
    codes: list[int] = []
    for (start, end), code in zip(spans.rows.tolist(), spans.codes.tolist(), strict=True):
        cuts = [start, end]
        if code == FIXATION and start < end and run_of[start] != run_of[end - 1]:
            known = start + np.flatnonzero(image_of_row[start:end] != UNKNOWN)
            changes = known[1:][image_of_row[known[1:]] != image_of_row[known[:-1]]]
            cuts = _without_short_parts([start, *changes.tolist(), end], samples.t_ns, end_ns)
            # Parts grown from flicker may turn out to be on one image.
            winners = [_winner(image_of_row[a:b]) for a, b in itertools.pairwise(cuts)]
            changed = [
                cut for cut, (w, v) in zip(cuts[1:-1], itertools.pairwise(winners), strict=True) if w != v
            ]
            cuts = [start, *changed, end]
        rows += itertools.pairwise(cuts)
        codes += [code] * (len(cuts) - 1)
    return Spans(rows=np.array(rows, np.int64).reshape(-1, 2), codes=np.array(codes, np.int8))


def _without_short_parts(cuts: list[int], t_ns: IntArray, end_ns: IntArray) -> list[int]:
    """Remove cuts until every part between two cuts is long enough or there is one part."""
    while len(cuts) > 2:
        lengths_ns = [int(end_ns[b - 1] - t_ns[a]) for a, b in itertools.pairwise(cuts)]
        shortest = lengths_ns.index(min(lengths_ns))
        if lengths_ns[shortest] * 1e-9 >= MIN_PART_S:
            break
        is_last, is_first = shortest == len(lengths_ns) - 1, shortest == 0
        joins_next = is_first or (not is_last and lengths_ns[shortest + 1] > lengths_ns[shortest - 1])
        del cuts[shortest + 1 if joins_next else shortest]
    return cuts
