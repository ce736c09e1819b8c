"""Key frames by the published GazeX rules, from raw samples in their own quarter-size frame: profile ``published``.

The rules are those of the authors' scripts (Lee et al., arXiv 2604.14316; github.com/KennyLee123/GazeX), re-made from
a description, not from their code. Numbers in that frame have the suffix ``_q``: pixel indexes of the picture of
(width // 4, height // 4), whose boxes include their last pixel. Zoom, pan and windowing are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from keyframes.errors import DataError
from keyframes.pixel_clusters import dbscan
from keyframes.reading import KEYFRAMES
from keyframes.spots import SCALE, Spots, light_up, nearest_position, quarter_picture

__all__ = ["PublishedSwitches", "published_keyframes", "render_published"]

LEAD_S = 2.0
"""s of gaze before a sentence that belong to it; windows of neighbouring sentences overlap."""
KEPT_PERCENTILES = (5.0, 95.0)
"""Of the window's samples, in x and in y."""
CLUSTER_MAP_SIGMA_DEG = 1.5
"""SD of the map whose hot pixels are clustered."""
FRAME_SIGMA_DEG = 1.25
"""SD of the maps that light the frames."""
HOT_SHARE = 0.1
"""Of a map's maximum; hot is what is above it."""
EPS = 0.3
"""SDs of the hot pixels' coordinates, not degrees."""
MIN_SAMPLES = 10
"""Pixels, itself included, that make a pixel the core of a cluster."""
INTENSITY_FACTOR = 0.1
"""By which the heat, 0 to 1, counts as a third coordinate."""
TOP_PERCENTILE = 80.0
"""Of a holistic map's pixels, those that nobody looked at included; the box is around what is above it."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NUMBERS = pa.list_(pa.float64())
_PIXELS = pa.list_(pa.int32())
_TABLE = pa.schema(
    [
        *(field for field in KEYFRAMES if field.name not in {"box_q", "centroid_q"}),
        pa.field("box_q", _NUMBERS, nullable=True),
        pa.field("centroid_q", _NUMBERS, nullable=True),
        pa.field("n_samples", pa.int32(), nullable=False),
        pa.field("n_clusters_found", pa.int32(), nullable=False),
        pa.field("n_pixels", pa.int32(), nullable=True),
        pa.field("mean_t_s", pa.float64(), nullable=True),
        pa.field("spot_x_q", _PIXELS, nullable=False),
        pa.field("spot_y_q", _PIXELS, nullable=False),
        pa.field("spot_sigma_x_q", _NUMBERS, nullable=False),
        pa.field("spot_sigma_y_q", _NUMBERS, nullable=False),
        pa.field("spot_weight", _NUMBERS, nullable=False),
    ]
)
"""`KEYFRAMES` and what `published_keyframes` says beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSwitches:
    """Defects of the published scripts that crash them or misalign their output; True: mended."""

    mark_skipped_sentences: bool = True
    """A sentence without gaze keeps a holistic row without a box, of status ``no_gaze``. False: it has no row, and
    whoever pairs frames with sentences by position is off by one from there on."""
    mark_blank_holistic: bool = True
    """A sentence whose samples are all off the image is one without gaze. False: it repeats the holistic row of the
    sentence before it; DataError where there is none, where the scripts stop."""
    skip_blank_clusters: bool = True
    """A cluster whose nearest samples are all off the image has no frame. False: it has a row without a box, on which
    the scripts stop later."""


def published_keyframes(
    gaze: pa.Table,
    sentences: pa.Table,
    images: pa.Table,
    *,
    events: pa.Table | None = None,
    switches: PublishedSwitches | None = None,
) -> pa.Table:
    """Return table ``keyframes`` of one reading, ``order`` from 0, profile ``published``.

    gaze, sentences, images : tables of the reading, as in `keyframes.reading`. Of several images the first of role
        current is the one looked at; samples on another one are left out. Sample coordinates are image px, of which
        half a pixel is taken off to have the pixel indexes of the published files; ``px_per_deg_*`` are at that moment.
    events   : where given, each row lists the fixations that its samples are in; no number depends on it.
    switches : all on by default.

    For each sentence that ends in a full stop (others have none), in order: the samples from 2.0 s before it to its
    end, both included, less those beyond the 5th to 95th percentile in x and in y; the clusters of the hot pixels of
    their map, where there are at least two, in order of the mean time of the samples nearest to their pixels; one
    ``holistic`` row last. ``box_q`` (x0, y0, x1, y1) with both ends included, and ``centroid_q`` (x, y) are the
    published numbers; ``box`` and ``centroid`` the same in image px, where pixel index i covers 4 i to 4 i + 4. A
    row's time is from its first to its last sample, ``dwell_s`` its number of samples times the median interval.

    Columns beyond the schema: ``n_samples`` (kept, of the sentence), ``n_clusters_found`` (there is no row for a
    single one), and of a cluster ``n_pixels`` and ``mean_t_s``; ``spot_*`` are the Gaussians of the map, for
    `render_published`. Raises DataError where the reading has no image of at least 4 px.
    """
    switches = switches or PublishedSwitches()
    image = _image(images)
    samples = _Samples.of_gaze(gaze, int(image["image_index"]))
    fixations = _Fixations.of_events(events)
    maker = _Maker(width_px=int(image["width_px"]), height_px=int(image["height_px"]), switches=switches)
    rows: list[dict[str, Any]] = []
    for sentence in sentences.sort_by("sentence_index").to_pylist():
        for row, t_ns in maker.sentence(samples, sentence, previous=rows[-1] if rows else None):
            found = {"image_index": image["image_index"], "fixation_indexes": fixations.at(t_ns)}
            rows.append({**found, **row, "sentence_id": sentence["sentence_id"]})
    for order, row in enumerate(rows):
        row |= {"keyframe_index": order, "order": order, "profile": "published"}
    return pa.Table.from_pylist(rows, schema=_TABLE)


def render_published(
    grey8: NDArray[np.uint8], keyframe_row: Mapping[str, Any], *, is_quarter: bool = False
) -> NDArray[np.uint8]:
    """Return the published frame of a row of `published_keyframes`: (h // 4, w // 4), grey * (0.15 + 0.85 * heat).

    grey8      : (h, w), the picture at full size; or the quarter-size one (``spots.quarter_picture``), which saves
                 time where there are several rows.
    is_quarter : says which.

    A row without gaze gives the picture dark.
    """
    grey_q = grey8 if is_quarter else quarter_picture(grey8)
    height_q, width_q = grey_q.shape
    heat = Spots(
        x_q=np.array(keyframe_row["spot_x_q"], np.int64),
        y_q=np.array(keyframe_row["spot_y_q"], np.int64),
        sigma_x_q=np.array(keyframe_row["spot_sigma_x_q"], np.float64),
        sigma_y_q=np.array(keyframe_row["spot_sigma_y_q"], np.float64),
        weight=np.array(keyframe_row["spot_weight"], np.float64),
    ).map(width_q, height_q)
    return light_up(grey_q, heat)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples:
    """Raw samples in the quarter-size frame, all finite, in order of time; arrays (n,)."""

    t_ns: IntArray
    x_q: FloatArray
    y_q: FloatArray
    per_deg_x_q: FloatArray
    per_deg_y_q: FloatArray
    interval_ns: int

    @classmethod
    def of_gaze(cls, gaze: pa.Table, image_index: int) -> _Samples:
        t_ns = gaze.column("t_ns").to_numpy()
        names = ("x_image_px", "y_image_px", "px_per_deg_x", "px_per_deg_y")
        x, y, per_deg_x, per_deg_y = (gaze.column(name).to_numpy() for name in names)
        here = gaze.column("image_index").fill_null(image_index).to_numpy() == image_index
        here &= gaze.column("valid").to_numpy(zero_copy_only=False)
        here &= np.isfinite(x) & np.isfinite(y) & np.isfinite(per_deg_x) & np.isfinite(per_deg_y)
        kept = np.flatnonzero(here & (per_deg_x > 0) & (per_deg_y > 0))
        kept = kept[np.argsort(t_ns[kept], kind="stable")]
        steps = np.diff(t_ns[kept])
        return cls(
            t_ns=t_ns[kept],
            x_q=(x[kept] - 0.5) / SCALE,
            y_q=(y[kept] - 0.5) / SCALE,
            per_deg_x_q=per_deg_x[kept] / SCALE,
            per_deg_y_q=per_deg_y[kept] / SCALE,
            interval_ns=int(np.median(steps[steps > 0])) if (steps > 0).any() else 0,
        )

    def of_sentence(self, start_ns: int, end_ns: int) -> _Samples:
        """Return the samples of a sentence's window, less those at the margins."""
        # In seconds, as floats: what lies on the bound then falls to the same side as in the published scripts.
        t_s = self.t_ns / 1e9
        inside = np.flatnonzero((t_s >= start_ns / 1e9 - LEAD_S) & (t_s <= end_ns / 1e9))
        if inside.size:
            x, y = self.x_q[inside], self.y_q[inside]
            (low_x, high_x), (low_y, high_y) = (np.percentile(v, KEPT_PERCENTILES) for v in (x, y))
            inside = inside[(x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)]
        return _Samples(
            t_ns=self.t_ns[inside],
            x_q=self.x_q[inside],
            y_q=self.y_q[inside],
            per_deg_x_q=self.per_deg_x_q[inside],
            per_deg_y_q=self.per_deg_y_q[inside],
            interval_ns=self.interval_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fixations:
    """Fixations in order of time; arrays (n,)."""

    event_index: IntArray
    t_start_ns: IntArray
    t_end_ns: IntArray

    @classmethod
    def of_events(cls, events: pa.Table | None) -> _Fixations:
        names = ("event_index", "t_start_ns", "t_end_ns")
        if events is None:
            return cls(**{name: np.empty(0, np.int64) for name in names})
        table = events.filter(pc.equal(events.column("kind"), "fixation")).sort_by("t_start_ns")
        return cls(**{name: table.column(name).to_numpy() for name in names})

    def at(self, t_ns: IntArray) -> list[int]:
        """Return the indexes of the fixations that any of the times is in."""
        if not self.event_index.size or not t_ns.size:
            return []
        place = np.unique(np.searchsorted(self.t_start_ns, t_ns, side="right") - 1)
        in_fixation = np.zeros(self.event_index.size, np.bool_)
        for one in place[place >= 0].tolist():
            first = np.searchsorted(t_ns, self.t_start_ns[one])
            in_fixation[one] = first < t_ns.size and t_ns[first] < self.t_end_ns[one]
        found: list[int] = self.event_index[in_fixation].tolist()
        return found


_Made = tuple[dict[str, Any], IntArray]
"""A row and the times of its samples, ns, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes the rows of one sentence."""

    width_px: int
    height_px: int
    switches: PublishedSwitches

    @property
    def size_q(self) -> tuple[int, int]:
        return self.width_px // SCALE, self.height_px // SCALE

    def sentence(
        self, samples: _Samples, sentence: Mapping[str, Any], *, previous: Mapping[str, Any] | None
    ) -> list[_Made]:
        """Return its clusters in order of time, then its holistic row."""
        if not sentence["text"].rstrip().endswith("."):
            return []  # by the published rules it is no sentence
        own = samples.of_sentence(sentence["t_start_ns"], sentence["t_end_ns"])
        if not own.t_ns.size:
            return self._skipped(sentence)
        spots, spot_of_sample = Spots.of_samples(own.x_q, own.y_q, own.per_deg_x_q, own.per_deg_y_q)
        found, labels_x, labels_y, labels = self._clusters(spots)
        common = {"n_samples": own.t_ns.size, "n_clusters_found": found}
        made = []
        if found > 1:
            made = self._cluster_rows(own, spots, spot_of_sample, found, labels_x, labels_y, labels)
        holistic = self._holistic(own, spots)
        if holistic is None:
            if self.switches.mark_blank_holistic:
                return self._skipped(sentence, n_samples=own.t_ns.size)
            if previous is None:
                raise DataError("the first sentence's gaze is all off the image, and no row can be repeated")
            holistic = (dict(previous), own.t_ns)
        return [({**row, **common}, t_ns) for row, t_ns in [*made, holistic]]

    def _skipped(self, sentence: Mapping[str, Any], *, n_samples: int = 0) -> list[_Made]:
        if not self.switches.mark_skipped_sentences:
            return []
        row = {
            "kind": "holistic",
            "status": "no_gaze",
            "image_index": None,
            "t_start_ns": sentence["t_start_ns"],
            "t_end_ns": sentence["t_end_ns"],
            "dwell_s": 0.0,
            "n_samples": n_samples,
            "n_clusters_found": 0,
            **_spot_columns(None),
        }
        return [(row, np.empty(0, np.int64))]

    def _clusters(self, spots: Spots) -> tuple[int, IntArray, IntArray, IntArray]:
        """Return the number of clusters, and the pixels of all of them, row by row, with their clusters."""
        heat = spots.map(*self.size_q, sigmas=CLUSTER_MAP_SIGMA_DEG)
        peak = heat.max()
        if peak > 0:
            heat /= peak
        y, x = np.nonzero(heat > HOT_SHARE)
        features = np.column_stack([_standardised(x), _standardised(y), INTENSITY_FACTOR * heat[y, x]])
        labels = dbscan(features, eps=EPS, min_samples=MIN_SAMPLES)
        kept = labels >= 0
        return int(labels.max(initial=-1)) + 1, x[kept], y[kept], labels[kept]

    def _cluster_rows(
        self,
        own: _Samples,
        spots: Spots,
        spot_of_sample: IntArray,
        n_clusters: int,
        pixel_x: IntArray,
        pixel_y: IntArray,
        labels: IntArray,
    ) -> list[_Made]:
        position_of_pixel, position_of_sample = nearest_position(pixel_x, pixel_y, own.x_q, own.y_q)
        # Of samples at one position the first stands for all.
        sample_of_position = np.unique(position_of_sample, return_index=True)[1]
        t_s = own.t_ns[sample_of_position] / 1e9
        spot_of_position = spot_of_sample[sample_of_position]
        timed: list[tuple[float, _Made]] = []
        for label in range(n_clusters):
            positions = position_of_pixel[labels == label]
            n_pixels = np.bincount(positions, minlength=sample_of_position.size)
            weight = np.zeros(spots.weight.size)
            np.add.at(weight, spot_of_position, n_pixels)
            mean_t_s = float(n_pixels @ t_s) / positions.size
            t_ns = own.t_ns[n_pixels[position_of_sample] > 0]
            lit = spots.weighted(weight)
            heat = lit.map(*self.size_q, sigmas=FRAME_SIGMA_DEG)
            extra = {"n_pixels": positions.size, "mean_t_s": mean_t_s}
            if heat.any():
                box = _extent(heat > _raw_heat(HOT_SHARE, float(heat.max())))
                row = self._row("cluster", lit, heat, box, t_ns, own.interval_ns)
            elif self.switches.skip_blank_clusters:
                continue
            else:
                row = self._row("cluster", lit, heat, None, t_ns, own.interval_ns)
            timed.append((mean_t_s, (row | extra, t_ns)))
        return [made for _, made in sorted(timed, key=lambda item: item[0])]

    def _holistic(self, own: _Samples, spots: Spots) -> _Made | None:
        heat = spots.map(*self.size_q, sigmas=FRAME_SIGMA_DEG)
        if not heat.any():
            return None
        row = self._row("holistic", spots, heat, _extent(heat > _top_bound(heat)), own.t_ns, own.interval_ns)
        return row, own.t_ns

    def _row(
        self,
        kind: str,
        spots: Spots,
        heat: FloatArray,
        box_q: list[int] | None,
        t_ns: IntArray,
        interval_ns: int,
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": kind,
            "status": "ok" if box_q else "no_gaze",
            "t_start_ns": int(t_ns[0]),
            "t_end_ns": int(t_ns[-1]) + interval_ns,
            "dwell_s": t_ns.size * interval_ns / 1e9,
            **_spot_columns(spots),
        }
        if box_q is not None:
            x0, y0, x1, y1 = box_q
            centroid = _centroid(heat, box_q)
            row |= {
                "box_q": box_q,
                "centroid_q": centroid,
                "box": [
                    SCALE * x0,
                    SCALE * y0,
                    min(SCALE * (x1 + 1), self.width_px),
                    min(SCALE * (y1 + 1), self.height_px),
                ],
                "centroid": [SCALE * (value + 0.5) for value in centroid],
            }
        return row


def _image(images: pa.Table) -> dict[str, Any]:
    """Return the row of the image that was read."""
    rows = images.sort_by("image_index").to_pylist()
    row: dict[str, Any] | None = next((r for r in rows if r["role"] == "current"), rows[0] if rows else None)
    if row is None or min(row["width_px"], row["height_px"]) < SCALE:
        raise DataError("the published key frames need an image of at least 4 x 4 px")
    return row


def _standardised(values: IntArray) -> FloatArray:
    """Return (v - mean) / SD of the population; 0 where all are equal."""
    spread = values.std() if values.size else 0.0
    return np.asarray((values - values.mean()) / spread if spread > 0 else np.zeros(values.size))


def _raw_heat(share: float, peak: float) -> float:
    """Return the heat whose logarithm, as in the frames, is ``share`` of that of the peak."""
    return float(np.expm1(share * np.log1p(peak + 1e-6)) - 1e-6)


def _top_bound(heat: FloatArray) -> float:
    """Return the heat above which pixels are at the top.

    The percentile is taken of the whole frame, since the logarithm of no heat is still positive: where less than a
    fifth of the frame was looked at, the bound is no heat at all.
    """
    place = int(np.floor(TOP_PERCENTILE / 100.0 * (heat.size - 1)))
    looked_at = heat[heat > 0]
    place -= heat.size - looked_at.size
    return float(np.partition(looked_at, place)[place]) if place >= 0 else 0.0


def _extent(mask: NDArray[np.bool_]) -> list[int]:
    """Return (x0, y0, x1, y1) of the first and last pixels of a mask that is not empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def _centroid(heat: FloatArray, box: list[int]) -> list[float]:
    x0, y0, x1, y1 = box
    part = heat[y0 : y1 + 1, x0 : x1 + 1]
    total = part.sum()
    if not total > 0:
        return [(x0 + x1) / 2, (y0 + y1) / 2]
    along_x, along_y = part.sum(axis=0), part.sum(axis=1)
    return [
        float(along_x @ np.arange(x0, x1 + 1) / total),
        float(along_y @ np.arange(y0, y1 + 1) / total),
    ]


def _spot_columns(spots: Spots | None) -> dict[str, Any]:
    names = ("x_q", "y_q", "sigma_x_q", "sigma_y_q", "weight")
    if spots is None:
        return {f"spot_{name}": [] for name in names}
    factor = {"sigma_x_q": FRAME_SIGMA_DEG, "sigma_y_q": FRAME_SIGMA_DEG}
    return {f"spot_{name}": getattr(spots, name) * factor.get(name, 1) for name in names}
