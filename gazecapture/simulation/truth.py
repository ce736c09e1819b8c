"""What really happened in a simulated session; read by the scorer only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gazecapture.files import atomic_path, make_private_folder, write_json_atomically
from gazecapture.simulation.oculomotor import Fixation, TrackerModel
from gazecapture.simulation.plan import ReadingPlan
from gazecapture.simulation.style import ReaderStyle
from keyframes.errors import SchemaError
from keyframes.regions.assignment import primary_region
from keyframes.regions.schemes import DEFAULT_SCHEME, Scheme, load_scheme

__all__ = [
    "TRUTH_SCHEMAS",
    "ReadingTruth",
    "SessionTruth",
    "TruthWriter",
    "load_truth",
    "reading_truth",
    "truth_head",
]

FloatArray = NDArray[np.float64]
_I64, _I32, _F64, _STR = pa.int64(), pa.int32(), pa.float64(), pa.string()
_TIMES = [pa.field("t_start_ns", _I64, nullable=False), pa.field("t_end_ns", _I64, nullable=False)]

TRUTH_SCHEMAS: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "fixations": pa.schema(
            [
                *_TIMES,
                pa.field("image_index", pa.int16()),
                pa.field("x_image_px", _F64, nullable=False),
                pa.field("y_image_px", _F64, nullable=False),
                pa.field("region", _STR),
                pa.field("letter", _STR),
                pa.field("sentence_index", _I32),
                pa.field("detour", pa.bool_(), nullable=False),
            ]
        ),
        "saccades": pa.schema([*_TIMES, pa.field("amplitude_deg", _F64, nullable=False)]),
        "psos": pa.schema([*_TIMES, pa.field("amplitude_deg", _F64, nullable=False)]),
        "blinks": pa.schema(_TIMES),
        "losses": pa.schema([*_TIMES, pa.field("eye", _STR, nullable=False)]),
        "sentences": pa.schema(
            [
                pa.field("sentence_index", _I32, nullable=False),
                pa.field("text", _STR, nullable=False),
                *_TIMES,
                pa.field("letter", _STR, nullable=False),
                pa.field("finding_id", _STR),
            ]
        ),
        "actions": pa.schema(
            [
                pa.field("t_ns", _I64, nullable=False),
                pa.field("kind", _STR, nullable=False),
                pa.field("viewport_id", pa.int16(), nullable=False),
                pa.field("x", _F64, nullable=False),
                pa.field("y", _F64, nullable=False),
                pa.field("amount", _F64, nullable=False),
            ]
        ),
        "findings": pa.schema(
            [
                pa.field("t_ns", _I64, nullable=False),
                pa.field("finding_id", _STR, nullable=False),
                pa.field("lesion_id", _STR, nullable=False),
                pa.field("label", _STR, nullable=False),
                pa.field("present", pa.bool_(), nullable=False),
                pa.field("sentence_index", _I32, nullable=False),
            ]
        ),
    }
)
"""Times in ns since image on. fixations: positions are means of where the eyes truly pointed, drift included, in
image px (NaN off every image); region and letter of the true map there; sentence_index is null in silent search.
sentences.finding_id is the lesion's (`TruthLesion.finding_id`), findings.finding_id the reader's own mark."""

_MEAN_OVER = 16
"""Points of a fixation over which its mean position is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTruth:
    """The truth about one reading."""

    reading_number: int
    study_id: str
    image_on_ns: int
    n_gaze_sent_during: int
    tables: Mapping[str, pa.Table]
    """By the names of `TRUTH_SCHEMAS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTruth:
    """The truth about one session."""

    seed: int
    style: str
    rate_hz: float
    n_gaze_sent: int
    n_words_sent: int
    readings: tuple[ReadingTruth, ...]
    content: Mapping[str, Any]
    """session.json as a whole."""


@dataclass(kw_only=True)
class TruthWriter:
    """Writes the truth reading by reading, so that an interrupted session has it too."""

    folder: Path
    head: Mapping[str, Any]
    """seed, style, rate_hz and what else is known before the first reading."""
    model: TrackerModel
    n_gaze_sent: int = 0
    n_words_sent: int = 0
    _readings: list[dict[str, Any]] = field(default_factory=list)

    def add(self, plan: ReadingPlan, *, image_on_ns: int, off_s: float, n_gaze_sent_during: int) -> None:
        """Write a reading that was on screen for ``off_s`` seconds."""
        folder = make_private_folder(self.folder / f"{plan.reading_number:04d}")
        for name, table in reading_truth(plan, off_s=off_s, model=self.model).items():
            with atomic_path(folder / f"{name}.parquet") as scratch:
                pq.write_table(table, scratch, compression="zstd")
        self._readings.append(
            {
                "reading_number": plan.reading_number,
                "study_id": plan.study_id,
                "image_on_ns": image_on_ns,
                "n_gaze_sent_during": n_gaze_sent_during,
            }
        )
        self.save()

    def save(self) -> None:
        """Write session.json as it stands."""
        make_private_folder(self.folder)
        write_json_atomically(
            self.folder / "session.json",
            {
                **self.head,
                "n_gaze_sent": self.n_gaze_sent,
                "n_words_sent": self.n_words_sent,
                "readings": self._readings,
            },
        )


def reading_truth(plan: ReadingPlan, *, off_s: float, model: TrackerModel) -> dict[str, pa.Table]:
    """Return the truth tables of a reading that left the screen ``off_s`` seconds after image on."""
    path = plan.path
    timed: dict[str, list[dict[str, Any]]] = {
        "saccades": [{**_times(s, off_s), "amplitude_deg": s.amplitude_deg} for s in path.saccades],
        "psos": [
            {**_times(p, off_s), "amplitude_deg": math.hypot(p.amplitude_x_deg, p.amplitude_y_deg)}
            for p in path.psos
        ],
        "blinks": [_times(b, off_s) for b in path.blinks],
        "losses": [{**_times(x, off_s), "eye": x.eye} for x in path.losses] if model.losses else [],
        "fixations": _fixations(plan, off_s, model),
    }
    rows: dict[str, list[dict[str, Any]]] = {
        name: [row for row in content if row["t_start_ns"] < row["t_end_ns"]]
        for name, content in timed.items()
    }
    rows["sentences"] = [
        {
            "sentence_index": index,
            "text": sentence.text,
            **_times(sentence, math.inf),
            "letter": sentence.utterance.letter,
            "finding_id": None if sentence.utterance.lesion is None else sentence.utterance.lesion.finding_id,
        }
        for index, sentence in enumerate(plan.sentences)
        if sentence.t_end_s <= off_s
    ]
    rows["actions"] = [
        {
            "t_ns": _ns(a.t_s), "kind": a.action.kind, "viewport_id": a.action.viewport_id, "x": a.action.x,
            "y": a.action.y, "amount": a.action.amount,
        }
        for a in plan.actions
        if a.t_s < off_s
    ]  # fmt: skip
    rows["findings"] = [
        {
            "t_ns": _ns(m.t_s), "finding_id": m.finding_id, "lesion_id": m.lesion_id, "label": m.label,
            "present": m.present, "sentence_index": m.sentence_index,
        }
        for m in plan.marks
        if m.t_s < off_s
    ]  # fmt: skip
    return {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in TRUTH_SCHEMAS.items()}


def truth_head(style: ReaderStyle, *, rate_hz: float, model: TrackerModel) -> dict[str, Any]:
    """Return what is known of a simulated session before its first reading."""
    return {
        "synthetic": True,
        "seed": style.seed,
        "style": style.kind,
        "reader": asdict(style),
        "rate_hz": rate_hz,
        "tracker": asdict(model),
        "scheme": DEFAULT_SCHEME,
    }


def load_truth(folder: Path) -> SessionTruth:
    """Read what `TruthWriter` wrote. Raises SchemaError where it is absent or broken."""
    path = folder / "session.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        readings = tuple(
            ReadingTruth(
                reading_number=int(entry["reading_number"]),
                study_id=str(entry["study_id"]),
                image_on_ns=int(entry["image_on_ns"]),
                n_gaze_sent_during=int(entry["n_gaze_sent_during"]),
                tables=MappingProxyType(
                    {
                        name: pq.read_table(
                            folder / f"{int(entry['reading_number']):04d}" / f"{name}.parquet"
                        )
                        for name in TRUTH_SCHEMAS
                    }
                ),
            )
            for entry in content["readings"]
        )
        return SessionTruth(
            seed=int(content["seed"]),
            style=str(content["style"]),
            rate_hz=float(content["rate_hz"]),
            n_gaze_sent=int(content["n_gaze_sent"]),
            n_words_sent=int(content["n_words_sent"]),
            readings=readings,
            content=MappingProxyType(content),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(
            f"{path} and its tables hold no truth of a simulated session: {type(error).__name__}",
            hint="Give the folder that `gazecapture simulate` wrote as --truth.",
            path=path,
        ) from None


def _fixations(plan: ReadingPlan, off_s: float, model: TrackerModel) -> list[dict[str, Any]]:
    scheme = load_scheme(DEFAULT_SCHEME)
    timed = [(f, _times(f, off_s)) for f in plan.path.fixations]
    timed = [(f, times) for f, times in timed if times["t_end_ns"] > times["t_start_ns"]]
    fixations = [f for f, _ in timed]
    x, y = _mean_positions(plan, fixations, off_s, model)
    return [
        {
            **times,
            "image_index": f.image_index,
            "x_image_px": x_px,
            "y_image_px": y_px,
            "region": region,
            "letter": None if region is None else scheme.letter_of(region),
            "sentence_index": f.sentence_index,
            "detour": f.detour,
        }
        for (f, times), x_px, y_px, region in zip(
            timed, x.tolist(), y.tolist(), _regions(plan, scheme, fixations, x, y), strict=True
        )
    ]


def _mean_positions(
    plan: ReadingPlan, fixations: Sequence[Fixation], off_s: float, model: TrackerModel
) -> tuple[FloatArray, FloatArray]:
    """Return (n,) image px; NaN on no image."""
    starts = np.array([f.t_start_s for f in fixations])
    ends = np.array([min(f.t_end_s, off_s) for f in fixations])
    share = (np.arange(_MEAN_OVER) + 0.5) / _MEAN_OVER
    tau = (starts[:, None] + share * (ends - starts)[:, None]).ravel()
    viewports = np.repeat(np.array([f.viewport_id for f in fixations], np.intp), _MEAN_OVER)
    x, y = plan.path.states.image(tau, viewports, *plan.path.screen(tau, physiology=model.physiology))
    on_image = np.array([f.image_index is not None for f in fixations], np.bool_)
    means = (v.reshape(-1, _MEAN_OVER).mean(axis=1) for v in (x, y))
    mean_x, mean_y = (np.where(on_image, mean, math.nan) for mean in means)
    return mean_x, mean_y


def _regions(
    plan: ReadingPlan, scheme: Scheme, fixations: Sequence[Fixation], x: FloatArray, y: FloatArray
) -> list[str | None]:
    found: list[str | None] = [None] * len(fixations)
    for image_index, region_map in plan.content.maps.items():
        on_it = [k for k, f in enumerate(fixations) if f.image_index == image_index]
        names = primary_region(region_map, scheme, x[on_it], y[on_it]).tolist()
        for k, name in zip(on_it, names, strict=True):
            found[k] = name
    return found


def _times(event: Any, off_s: float) -> dict[str, int]:
    return {"t_start_ns": _ns(event.t_start_s), "t_end_ns": _ns(min(event.t_end_s, off_s))}


def _ns(t_s: float) -> int:
    return round(t_s * 1e9)
