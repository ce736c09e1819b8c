"""The reading, unit of all work, and the one schema of each of its tables.

A reading is one reader interpreting one study. Its scalars are in `ReadingMeta`, its bulk data in Arrow
tables, each with the schema named here. Times are int64 ns since image on (``time_origin`` says where a source
has none), positions are in the frame that the column names, lost gaze is NaN, boxes are half-open
``(x0, y0, x1, y1)`` in image px. A table may have more columns than its schema, never fewer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from keyframes.errors import SchemaError
from keyframes.geometry import Display

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AGE_BANDS",
    "DISPLAY",
    "EVENTS",
    "EVENT_KINDS",
    "EVENT_REGIONS",
    "FINDINGS",
    "GAZE",
    "IMAGES",
    "IMAGE_ROLES",
    "INSPECTION",
    "ISSUES",
    "KEYFRAMES",
    "LESION_GAZE",
    "LETTER_COVERAGE",
    "QA",
    "QUALITY",
    "REGIONS",
    "REGION_COVERAGE",
    "SCHEMAS",
    "SCHEMA_VERSION",
    "SENTENCES",
    "SEXES",
    "SITE_CODE",
    "SOURCE_TABLES",
    "TRAJECTORY",
    "TRANSITIONS",
    "TRUTH",
    "VALIDATIONS",
    "WORDS",
    "Reading",
    "ReadingMeta",
    "Tracker",
    "conform",
    "empty_table",
]

SCHEMA_VERSION = "1.0"
"""Of all tables together. MINOR adds columns; MAJOR changes or removes some."""

SEXES = ("F", "M", "O")
"""Of DICOM's Patient's Sex (0010,0040)."""
AGE_BANDS = (*(f"{first}-{first + 9}" for first in range(0, 90, 10)), "90+")
"""Years; ages above 89 are one band, as the HIPAA safe harbour (45 CFR 164.514(b)(2)(i)(C)) asks."""
SITE_CODE = r"[A-Z][0-9]{1,2}"
"""Of a place where somebody reads, such as S1: too short to name it or to be an id."""

IMAGE_ROLES = ("current", "lateral", "prior")
"""Of a study's images, in the order in which they are numbered and laid out."""

EVENT_KINDS = ("none", "fixation", "saccade", "pso", "pursuit", "blink", "loss")
"""Event kinds by label code: 0 none or loss in sample labels, 1 ... 5; loss is an event of the table only."""


def _schema(
    required: Mapping[str, pa.DataType], optional: Mapping[str, pa.DataType] | None = None
) -> pa.Schema:
    """Build a schema: required columns are never null, optional ones may be."""
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in required.items()]
        + [pa.field(name, kind, nullable=True) for name, kind in (optional or {}).items()]
    )


_F64, _I64, _I32, _I16, _STR, _BOOL = (
    pa.float64(),
    pa.int64(),
    pa.int32(),
    pa.int16(),
    pa.string(),
    pa.bool_(),
)
_NUMBERS = pa.list_(_F64)
_PANEL = pa.struct([pa.field("name", _STR), pa.field("rect", _NUMBERS)])

IMAGES = _schema(
    {
        "image_index": _I16,
        "role": _STR,
        "width_px": _I32,
        "height_px": _I32,
        "spacing_kind": _STR,
        "sha256": _STR,
    },
    {
        "view_position": _STR,
        "spacing_x_mm": _F64,
        "spacing_y_mm": _F64,
        "file": _STR,
        "public_dicom_id": _STR,
    },
)
"""role: current, lateral or prior. spacing_kind: pixel, detector (plane) or unknown. file: name under the
reading's ``images`` folder in the store; null where the picture is not attached. public_dicom_id: as a published
dataset names the picture."""

GAZE = _schema(
    {
        "t_ns": _I64,
        "x_screen_px": _F64, "y_screen_px": _F64,
        "left_x_screen_px": _F64, "left_y_screen_px": _F64, "left_pupil": _F64,
        "right_x_screen_px": _F64, "right_y_screen_px": _F64, "right_pupil": _F64,
        "x_image_px": _F64, "y_image_px": _F64,
        "px_per_deg_x": _F64, "px_per_deg_y": _F64,
        "pupil": _F64,
        "valid": _BOOL,
        "combined_by": _STR,
        "pupil_unit": _STR,
        "source": _STR,
    },
    {"left_valid": _BOOL, "right_valid": _BOOL, "viewport_id": _I16, "image_index": _I16, "eye_distance_mm": _F64},
)  # fmt: skip
"""One row per device sample. ``x/y_screen_px`` as measured; ``px_per_deg_*`` is image px per degree at that
moment, zoom included (NaN off every image). combined_by: mean_of_valid, left, right, device. pupil_unit: mm,
px (of the eye camera), diameter_au, area_au, normalised, none. source: live, backfill, mouse, simulated, imported.
Gaze of a scene camera has its place there in further columns ``x/y_scene_px``."""

DISPLAY = _schema(
    {"t_ns": _I64, "viewport_id": _I16, "inverted": _BOOL, "panels": pa.list_(_PANEL)},
    {
        "image_index": _I16, "affine": _NUMBERS, "source_rect": _NUMBERS, "dest_rect": _NUMBERS,
        "viewport_rect": _NUMBERS, "window_center": _F64, "window_width": _F64, "voi": _STR, "preset_id": _STR,
        "lens": _NUMBERS,
    },
)  # fmt: skip
"""One row per change and viewport. affine: six numbers, screen px to image px (`keyframes.geometry.Affine`).
source_rect in image px is shown in dest_rect, in screen px; viewport_rect, in screen px, is where the viewport
is, image or surround. A null image_index means that the viewport shows no image from then on. lens: of a magnifier,
which is a viewport over another one, its rectangle in screen px and how many times it enlarges; else null."""

WORDS = _schema(
    {
        "word_index": _I32,
        "t_start_ns": _I64,
        "t_end_ns": _I64,
        "word": _STR,
        "supported": _BOOL,
        "source": _STR,
    },
    {"confidence": _F64, "placing": _STR, "transcript": _STR},
)
"""source: dictated, typed, simulated, imported. ``.`` is a word of its own where it was dictated. placing: measured,
interpolated between words that were, or unplaced (its time is a neighbour's); null where a source does not tell.
transcript: reviewed by a person, unreviewed, or null where a source does not tell."""

SENTENCES = _schema(
    {
        "sentence_id": _STR, "sentence_index": _I32, "text": _STR, "t_start_ns": _I64, "t_end_ns": _I64,
        "finding_ids": pa.list_(_STR),
    },
    {"mentions": pa.list_(pa.struct([("label", _STR), ("certainty", _STR)])), "mentions_by": _STR},
)  # fmt: skip
"""mentions: labels that the sentence speaks of, positive, uncertain or negative, as found by mentions_by."""

EVENTS = _schema(
    {
        "event_index": _I32, "kind": _STR, "t_start_ns": _I64, "t_end_ns": _I64, "duration_s": _F64,
        "x_image_px": _F64, "y_image_px": _F64, "x_screen_px": _F64, "y_screen_px": _F64,
        "x_start_screen_px": _F64, "y_start_screen_px": _F64, "x_end_screen_px": _F64, "y_end_screen_px": _F64,
        "amplitude_deg": _F64, "direction_deg": _F64, "peak_velocity_deg_per_s": _F64,
        "mean_velocity_deg_per_s": _F64, "dispersion_deg": _F64, "rms_s2s_deg": _F64, "valid_share": _F64,
    },
    {"image_index": _I16},
)  # fmt: skip
"""Half-open in time. Positions are means over the event; screen columns are NaN where a source has no screen."""

REGIONS = _schema(
    {
        "image_index": _I16, "region": _STR, "letter": _STR, "box": _NUMBERS, "provider": _STR,
        "confidence": _F64, "scheme": _STR,
    },
    {"shape": _STR},
)  # fmt: skip
"""shape: outline or mask, the JSON of one region of `RegionMap.to_dict`."""
EVENT_REGIONS = _schema(
    {"event_index": _I32, "region": _STR, "letter": _STR, "weight": _F64, "is_primary": _BOOL, "scheme": _STR}
)
"""One row per fixation and region within the tracker's error; weights of a fixation sum to 1, one is primary."""

KEYFRAMES = _schema(
    {
        "keyframe_index": _I32, "order": _I32, "kind": _STR, "t_start_ns": _I64, "t_end_ns": _I64, "dwell_s": _F64,
        "fixation_indexes": pa.list_(_I32), "profile": _STR, "status": _STR,
    },
    {
        "sentence_id": _STR, "image_index": _I16, "box": _NUMBERS, "centroid": _NUMBERS, "box_q": _NUMBERS,
        "centroid_q": _NUMBERS,
    },
)  # fmt: skip
"""kind: cluster, holistic, silent. order: 0-based place in the reading; the clusters of a sentence in time order,
its holistic last. status: ok, or no_gaze (a sentence without gaze keeps one holistic row of no box).
profile: toolkit, or published, whose numbers in the quarter-size frame are ``box_q`` (both ends included) and
``centroid_q``."""

TRAJECTORY = _schema(
    {
        "order": _I32, "letter": _STR, "region": _STR, "t_start_ns": _I64, "t_end_ns": _I64, "dwell_s": _F64,
        "n_fixations": _I32, "scheme": _STR,
    },
    {"image_index": _I16},
)  # fmt: skip

_VISITED: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "dwell_s": _F64,
        "n_fixations": _I32,
        "n_visits": _I32,
        "n_revisits": _I32,
        "missed": _BOOL,
        "scheme": _STR,
    }
)
REGION_COVERAGE = _schema(
    {"image_index": _I16, "region": _STR, "letter": _STR, **_VISITED},
    {"covered_share": _F64, "t_first_ns": _I64},
)
"""One row per region of an image; regions overlap, so a fixation may count for several. covered_share: share of the
area within a stated angle of a fixation; null where no fixation's scale is known. t_first_ns: start of the first
fixation, null where there is none."""
LETTER_COVERAGE = _schema(
    {"image_index": _I16, "letter": _STR, "dwell_share": _F64, **_VISITED},
    {"covered_share": _F64, "t_first_ns": _I64},
)
"""One row per letter of the scheme and image; each fixation counts for one letter, that of its primary region."""
TRANSITIONS = _schema(
    {"by": _STR, "source": _STR, "target": _STR, "n": _I32, "share": _F64, "scheme": _STR},
)
"""by: letter or region. share: of all ways out of ``source``."""
INSPECTION = _schema(
    {
        "scheme": _STR, "n_visits": _I32, "n_letter_visits": _I32, "n_fixations": _I32, "dwell_s": _F64,
        "letter_order": pa.list_(_STR), "missed_letters": pa.list_(_STR), "missed_regions": pa.list_(_STR),
        "order_chance_tau": _F64,
    },
    {"order_tau": _F64, "order_chance_sd": _F64, "order_chance_share": _F64},
)  # fmt: skip
"""One row. letter_order: by first visit. order_tau: Kendall's tau of it with the scheme's order, beside its mean and
standard deviation over all orders and the share of orders at least as much in order; null below two letters."""

FINDINGS = _schema(
    {
        "finding_id": _STR, "label": _STR, "present": _BOOL, "shape": _STR, "sentence_ids": pa.list_(_STR),
        "source": _STR,
    },
    {"certainty": _F64, "rating": _F64, "image_index": _I16, "box": _NUMBERS, "t_ns": _I64},
)  # fmt: skip
"""What the reader marked. shape: box, ellipse (inscribed in ``box``), or none. certainty: 0 to 1. t_ns: when it was
first marked; null where a source does not tell."""

TRUTH = FINDINGS
"""Reference lesions with their source; used for measures only."""

QA = _schema({"question": _STR, "answer": _STR, "type": _STR, "source": _STR})
"""Questions about the study's pictures that a source brought with their answers."""

LESION_GAZE = _schema(
    {"finding_id": _STR, "label": _STR, "source": _STR, "reported": _BOOL},
    {
        "image_index": _I16, "reported_as": _STR, "t_first_ns": _I64, "dwell_s": _F64, "n_fixations": _I32,
        "n_visits": _I32, "n_revisits": _I32, "error": _STR,
    },
)  # fmt: skip
"""One row per reference lesion. reported_as: finding_id of the reader's own. Gaze columns are null for a lesion without
a place. error: search, recognition or decision, of one not reported."""

VALIDATIONS = _schema(
    {
        "t_ns": _I64, "phase": _STR, "eye": _STR, "n_points": _I32, "accuracy_deg": _F64, "accuracy_max_deg": _F64,
        "rms_s2s_deg": _F64, "sd_deg": _F64, "loss_share": _F64,
    },
    {
        "offset_x_deg": _F64, "offset_y_deg": _F64, "offset_x_screen_px": _F64, "offset_y_screen_px": _F64,
        "bcea_deg2": _F64, "light": _STR,
        "points": pa.list_(pa.struct([(name, _F64) for name in (
            "target_x_screen_px", "target_y_screen_px", "gaze_x_screen_px", "gaze_y_screen_px", "accuracy_deg",
            "rms_s2s_deg", "sd_deg", "loss_share")])),
    },
)  # fmt: skip
"""phase: before or after the reading; drift: the one-point check whose offset was taken off ``x/y_image_px`` of the
reading's gaze (screen px stay as measured). eye: left, right, both. offset: gaze minus target. light: green, amber, red
or unknown (no degrees)."""

QUALITY = _schema({"metric": _STR, "value": _F64, "unit": _STR}, {"sentence_id": _STR})
"""sentence_id null: of the whole reading."""
ISSUES = _schema({"code": _STR, "severity": _STR, "message": _STR}, {"sentence_id": _STR})
"""severity: info, warning, error (an error of the quality stage rejects the reading)."""

SCHEMAS: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "images": IMAGES, "gaze": GAZE, "display": DISPLAY, "words": WORDS, "findings": FINDINGS, "truth": TRUTH,
        "validations": VALIDATIONS, "qa": QA, "quality": QUALITY, "issues": ISSUES, "sentences": SENTENCES,
        "events": EVENTS, "regions": REGIONS, "event_regions": EVENT_REGIONS, "keyframes": KEYFRAMES,
        "trajectory": TRAJECTORY, "region_coverage": REGION_COVERAGE, "letter_coverage": LETTER_COVERAGE,
        "transitions": TRANSITIONS, "inspection": INSPECTION, "lesion_gaze": LESION_GAZE,
    }
)  # fmt: skip
SOURCE_TABLES = ("images", "gaze", "display", "words", "findings", "truth", "validations", "qa")
"""Tables that an ingester writes; the others belong to one stage each."""


def empty_table(name: str) -> pa.Table:
    """Return a table of no rows with the schema of table ``name``."""
    return SCHEMAS[name].empty_table()


def conform(name: str, table: pa.Table, *, only: Collection[str] | None = None) -> pa.Table:
    """Return ``table`` with the columns of table ``name`` first, in order and type, then its own further ones.

    only : of a table that was read in part, the columns that it has; None: it has all.

    An absent column that may be null is filled with nulls. Raises SchemaError, naming table and column, where a
    required column is absent, holds nulls, or cannot be cast without loss.
    """
    schema = SCHEMAS[name]
    if only is not None:
        schema = pa.schema([column for column in schema if column.name in only])
    if table.schema.equals(schema, check_metadata=True) and not any(
        table.column(place).null_count for place, field in enumerate(schema) if not field.nullable
    ):
        return table
    columns, fields = [], []
    for expected in schema:
        if expected.name in table.column_names:
            column = table.column(expected.name)
            if column.type != expected.type:
                try:
                    column = column.cast(expected.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise SchemaError(
                        f"table {name!r}, column {expected.name!r}: expected {expected.type}, found {column.type}"
                    ) from error
            if not expected.nullable and column.null_count:
                raise SchemaError(
                    f"table {name!r}, column {expected.name!r}: {column.null_count} empty cells"
                )
        elif expected.nullable:
            column = pa.chunked_array([pa.nulls(table.num_rows, expected.type)])
        else:
            found = ", ".join(table.column_names)
            raise SchemaError(f"table {name!r} lacks column {expected.name!r} (found: {found})")
        columns.append(column)
        fields.append(expected)
    for extra in table.schema:
        if extra.name not in schema.names:
            columns.append(table.column(extra.name))
            fields.append(extra)
    return pa.table(columns, schema=pa.schema(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """The eye tracker of a reading; empty strings and None where a source does not tell."""

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    profile: str = ""
    """Name of the stream profile that read its channels."""
    nominal_rate_hz: float | None = None
    effective_rate_hz: float | None = None
    """Measured: 1 / median sample interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingMeta:
    """The scalars of a reading. Never a name, never a path."""

    reading_id: str
    source_format: str
    time_origin: str = "image_on"
    """image_on, audio_start, or none where nobody was recorded."""
    reader_code: str
    study_key: str
    """Keyed hash of the study: readings of one study by several readers share it."""
    patient_key: str
    """Keyed hash of the patient, or of the study where no patient is known."""
    public_patient_id: str = ""
    public_study_id: str = ""
    """As a published dataset names them; only ingesters of published datasets fill these."""
    session_id: str = ""
    reading_number: int = 0
    """1-based place in the session; 0 where the source has no order."""
    minutes_into_session: float | None = None
    """Image on of the session's first reading to this one's; None where a source does not tell."""
    repeat_of: str = ""
    """Reading id of the same reader's first reading of the study, where this is a later one."""
    reader_site: str = ""
    """Code of the place where it was read; of this toolkit's own sessions a `SITE_CODE`."""
    duration_ns: int
    """Image on to image off."""
    study_arm: str = ""
    indication: str = ""
    sex: str = ""
    """The patient's, one of `SEXES`; empty where unknown."""
    age_band: str = ""
    """The patient's age, one of `AGE_BANDS`; empty where unknown."""
    report_sections: Mapping[str, str] = field(default_factory=dict)
    """The study's written report by section (findings, impression); what a reader said is in ``words``."""
    tracker: Tracker = field(default_factory=Tracker)
    display: Display | None = None
    display_lag_ms: float | None = None
    """None: unmeasured; then image on is uncertain by one frame + 20 ms."""
    split_official: str = ""
    consent_scopes: tuple[str, ...] = ()
    source_licence: str = ""
    access_tier: str = "local-only"
    """open, consented, credentialed or local-only."""
    synthetic: bool = False
    """The gaze, the picture or both were generated."""
    n_samples_expected: int | None = None
    """What the device counted between first and last sample, where it numbers its samples."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """tool_version, source details, hashes; strings only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading: its scalars and its tables, each conforming to `SCHEMAS`."""

    meta: ReadingMeta
    tables: Mapping[str, pa.Table]
    in_part: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """Of a table that was read in part, the columns that it has; who asks it for another gets a KeyError."""

    @classmethod
    def build(
        cls,
        meta: ReadingMeta,
        tables: Mapping[str, pa.Table],
        *,
        in_part: Mapping[str, frozenset[str]] | None = None,
    ) -> Self:
        """Return a reading whose tables are checked; absent source tables become empty ones.

        Raises SchemaError where a table is unknown or does not conform.
        """
        absent = {name: empty_table(name) for name in SOURCE_TABLES if name not in tables}
        parts = MappingProxyType(dict(in_part or {}))
        full = absent | _conforming(tables, parts)
        return cls(meta=meta, tables=MappingProxyType(full), in_part=parts)

    def table(self, name: str) -> pa.Table:
        """Return table ``name``. Raises SchemaError where the reading does not have it (yet)."""
        try:
            return self.tables[name]
        except KeyError:
            raise SchemaError(
                f"reading {self.meta.reading_id} has no table {name!r}",
                hint="A stage that has not run yet makes it.",
                record=self.meta.reading_id,
            ) from None

    def with_tables(self, **tables: pa.Table) -> Self:
        """Return a copy in which ``tables`` stand beside or in place of the present ones."""
        return replace(self, tables=MappingProxyType({**self.tables, **_conforming(tables, self.in_part)}))

    def to_pandas(self, name: str) -> pd.DataFrame:
        """Return table ``name`` as a pandas frame."""
        frame: pd.DataFrame = self.table(name).to_pandas()
        return frame


def _conforming(tables: Mapping[str, pa.Table], in_part: Mapping[str, frozenset[str]]) -> dict[str, pa.Table]:
    for name in tables:
        if name not in SCHEMAS:
            raise SchemaError(f"a reading has no table {name!r} (known: {', '.join(SCHEMAS)})")
    return {name: conform(name, table, only=in_part.get(name)) for name, table in tables.items()}
