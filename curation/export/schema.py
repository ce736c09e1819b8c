"""The shard row: one reading, everything nested, the same in Parquet and in HDF5.

Coordinates stay in px of the stored matrix (``image_info.matrix_width_px``), whatever size the pictures have.
Times are int64 ns since image on; no absolute time is in a row. Boxes are half-open ``[x0, y0, x1, y1]``. Gaze parts
may be empty, so that report, grounding and question-answer corpora share the schema.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = ["PICTURE", "SHARD", "SHARD_SCHEMA_VERSION"]

SHARD_SCHEMA_VERSION = "1.4"
"""A reader refuses a greater MAJOR; MINOR adds fields."""

_F64, _I64, _I32, _I16, _STR, _BOOL = (
    pa.float64(),
    pa.int64(),
    pa.int32(),
    pa.int16(),
    pa.string(),
    pa.bool_(),
)
_NUMBERS = pa.list_(_F64)

PICTURE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", _STR)])
"""What Hugging Face `datasets` stores for an Image: encoded bytes and a bare file name."""


def _rows(**fields: pa.DataType) -> pa.ListType:
    return pa.list_(pa.struct(list(fields.items())))


_FINDING = _rows(
    finding_id=_STR, label=_STR, present=_BOOL, certainty=_F64, rating=_F64, image_index=_I16, shape=_STR,
    box=_NUMBERS, t_ns=_I64, sentence_ids=pa.list_(_STR), source=_STR,
)  # fmt: skip

SHARD = pa.schema(
    [
        ("reading_id", _STR),
        ("schema_version", _STR),
        ("split", _STR),
        ("split_official", _STR),
        ("source_format", _STR),
        ("source_licence", _STR),
        ("access_tier", _STR),
        ("gaze_tier", _STR),
        ("synthetic", _BOOL),
        ("time_origin", _STR),
        ("consent_scopes", pa.list_(_STR)),
        ("reader_code", _STR),
        ("reader_site", _STR),
        ("patient_key", _STR),
        ("study_key", _STR),
        ("public_patient_id", _STR),
        ("public_study_id", _STR),
        ("sex", _STR),
        ("age_band", _STR),
        ("session_key", _STR),
        ("reading_number", _I32),
        ("minutes_into_session", _F64),
        ("repeat_of", _STR),
        ("study_arm", _STR),
        ("indication", _STR),
        ("report_sections", _rows(section=_STR, text=_STR)),
        ("duration_ns", _I64),
        (
            "gaze_quality",
            pa.struct(
                [
                    ("accuracy_deg", _F64),
                    ("rms_s2s_deg", _F64),
                    ("sd_deg", _F64),
                    ("loss_share", _F64),
                ]
            ),
        ),
        (
            "tracker",
            pa.struct(
                [
                    ("manufacturer", _STR),
                    ("model", _STR),
                    ("profile", _STR),
                    ("nominal_rate_hz", _F64),
                    ("effective_rate_hz", _F64),
                    ("gaze_source", _STR),
                ]
            ),
        ),
        (
            "display",
            pa.struct(
                [
                    ("width_px", _I32),
                    ("height_px", _I32),
                    ("width_mm", _F64),
                    ("height_mm", _F64),
                    ("distance_mm", _F64),
                    ("lag_ms", _F64),
                ]
            ),
        ),
        ("images", pa.list_(PICTURE)),
        (
            "image_info",
            _rows(
                image_index=_I16,
                role=_STR,
                view_position=_STR,
                matrix_width_px=_I32,
                matrix_height_px=_I32,
                picture_width_px=_I32,
                picture_height_px=_I32,
                spacing_x_mm=_F64,
                spacing_y_mm=_F64,
                spacing_kind=_STR,
                public_dicom_id=_STR,
                sha256=_STR,
                picture_sha256=_STR,
                picture_phash=_I64,
                picture_salted_sha256=_STR,
            ),
        ),
        ("text", _STR),
        (
            "words",
            _rows(
                t_start_ns=_I64,
                t_end_ns=_I64,
                word=_STR,
                confidence=_F64,
                supported=_BOOL,
                source=_STR,
                placing=_STR,
                transcript=_STR,
            ),
        ),
        (
            "sentences",
            _rows(
                sentence_id=_STR,
                text=_STR,
                t_start_ns=_I64,
                t_end_ns=_I64,
                finding_ids=pa.list_(_STR),
                mentions=_rows(label=_STR, certainty=_STR),
                mentions_by=_STR,
            ),
        ),
        (
            "fixations",
            _rows(
                event_index=_I32,
                t_start_ns=_I64,
                t_end_ns=_I64,
                duration_s=_F64,
                image_index=_I16,
                x_image_px=_F64,
                y_image_px=_F64,
                px_per_deg_x=_F64,
                px_per_deg_y=_F64,
                dispersion_deg=_F64,
                pupil=_F64,
                region=_STR,
                letter=_STR,
                region_weight=_F64,
                sentence_ids=pa.list_(_STR),
                finding_ids_by_sentence=pa.list_(_STR),
                finding_ids_by_box=pa.list_(_STR),
            ),
        ),
        (
            "saccades",
            _rows(
                event_index=_I32,
                t_start_ns=_I64,
                t_end_ns=_I64,
                amplitude_deg=_F64,
                direction_deg=_F64,
                peak_velocity_deg_per_s=_F64,
            ),
        ),
        (
            "keyframes",
            _rows(
                keyframe_index=_I32,
                order=_I32,
                kind=_STR,
                status=_STR,
                sentence_id=_STR,
                image_index=_I16,
                t_start_ns=_I64,
                t_end_ns=_I64,
                dwell_s=_F64,
                profile=_STR,
                lead_s=_F64,
                edge_tolerance_deg=_F64,
                discarded_share=_F64,
                box=_NUMBERS,
                centroid=_NUMBERS,
                box_q=_NUMBERS,
                centroid_q=_NUMBERS,
                region=_STR,
                letter=_STR,
                fixation_indexes=pa.list_(_I32),
                picture=PICTURE,
            ),
        ),
        (
            "trajectory",
            _rows(
                order=_I32,
                letter=_STR,
                region=_STR,
                image_index=_I16,
                t_start_ns=_I64,
                t_end_ns=_I64,
                dwell_s=_F64,
                n_fixations=_I32,
            ),
        ),
        (
            "region_coverage",
            _rows(
                image_index=_I16,
                region=_STR,
                letter=_STR,
                covered_share=_F64,
                dwell_s=_F64,
                n_fixations=_I32,
                n_visits=_I32,
                t_first_ns=_I64,
                missed=_BOOL,
            ),
        ),
        (
            "letter_coverage",
            _rows(
                image_index=_I16,
                letter=_STR,
                covered_share=_F64,
                dwell_s=_F64,
                dwell_share=_F64,
                n_fixations=_I32,
                n_visits=_I32,
                t_first_ns=_I64,
                missed=_BOOL,
            ),
        ),
        (
            "lesion_gaze",
            _rows(
                finding_id=_STR,
                reported=_BOOL,
                t_first_ns=_I64,
                dwell_s=_F64,
                n_fixations=_I32,
                n_visits=_I32,
                error=_STR,
            ),
        ),
        ("region_scheme", _STR),
        (
            "regions",
            _rows(image_index=_I16, region=_STR, letter=_STR, box=_NUMBERS, provider=_STR, confidence=_F64),
        ),
        ("findings", _FINDING),
        ("truth", _FINDING),
        ("qa", _rows(question=_STR, answer=_STR, type=_STR, source=_STR)),
        ("quality", _rows(metric=_STR, value=_F64, unit=_STR, sentence_id=_STR)),
        ("issues", _rows(code=_STR, severity=_STR, message=_STR, sentence_id=_STR)),
        ("config_hash", _STR),
        ("tool_version", _STR),
    ]
)
"""What is not told by its name:

* public_*_id: as the published source names patient, study and picture; null unless the export's access tier allows.
* gaze_quality: the numbers of ``quality`` that trainers weigh readings by. accuracy_deg is of the worse validation.
* reading_number, minutes_into_session, session_key: order within one sitting. repeat_of: reading_id of the same
  reader's first reading of the study.
* image_info.picture_sha256: of the picture's encoded bytes in ``images`` (``sha256`` is its name in 1.0 and 1.1).
  picture_salted_sha256: of a picture that stayed behind (`curation.export.pictures.salted_sha256`), for
  `gazecurate attach-images`; null otherwise. picture_phash: 64 bits (`curation.export.phash`). The first and the last
  are null without a picture.
* words.placing: measured, interpolated between words that were, or unplaced. words.transcript: reviewed by a person or
  unreviewed. Both are null where a source does not tell.
* sentences.mentions: labels that the sentence speaks of, positive, uncertain or negative; mentions_by: the rules that
  found them (never the CheXpert labeller).
* fixations.sentence_ids: of the sentences whose key frames list the fixation; finding_ids_by_sentence: of those
  sentences' findings; finding_ids_by_box: of the reader's findings whose box or ellipse holds the fixation.
"""
