"""What a reader can mark on a film, and how it goes into the annotations journal. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from keyframes.errors import DataError

__all__ = [
    "CERTAINTIES",
    "CHEXPERT_LABELS",
    "SMALLEST_BOX_PX",
    "Box",
    "Certainty",
    "Finding",
    "FindingsOfReading",
    "restored_findings",
]

CHEXPERT_LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
    "No Finding",
)
"""The 14 labels of CheXpert (Irvin et al. 2019, table 1), in the order of the menu."""

Box = tuple[float, float, float, float]

SMALLEST_BOX_PX = 2.0
"""Image px; a smaller box is a slip of the mouse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """One of the five levels that readers are asked for."""

    name: str
    value: float


CERTAINTIES = (
    Certainty(name="> 90 %", value=0.95),
    Certainty(name="~ 75 %", value=0.75),
    Certainty(name="~ 50 %", value=0.5),
    Certainty(name="~ 25 %", value=0.25),
    Certainty(name="< 10 %", value=0.05),
)
"""The levels of REFLACX (Bigolin Lanfredi et al. 2022), each stored as a value inside its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One marked finding; the fields of the annotations journal."""

    finding_id: str
    label: str
    present: bool = True
    certainty: float | None = None
    rating: float | None = None
    image_index: int | None = None
    shape: str = "box"
    box: Box | None = None

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Finding:
        """Build one from a driver's message. Raises DataError where it does not hold what it must."""
        try:
            box = message.get("box")
            return cls(
                finding_id=str(message["finding_id"]),
                label=str(message["label"]),
                present=bool(message.get("present", True)),
                certainty=_number(message.get("certainty")),
                rating=_number(message.get("rating")),
                image_index=None if message.get("image_index") is None else int(message["image_index"]),
                shape=str(message.get("shape") or ("none" if box is None else "box")),
                box=None if box is None else _box(box),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"a finding lacks or has an impossible field: {error}") from None


class FindingsOfReading:
    """The findings of the study that is open; every change gives the journal row that it makes."""

    def __init__(self, reading_number: int, restored: Mapping[str, Finding] | None = None) -> None:
        self.reading_number = reading_number
        self._findings = dict(restored or {})
        self._n_made = len(self._findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The present findings, oldest first."""
        return tuple(self._findings.values())

    def new_id(self) -> str:
        """Return an id that no finding of this session has."""
        while (name := f"r{self.reading_number}-f{self._n_made + 1}") in self._findings:
            self._n_made += 1
        self._n_made += 1
        return name

    def put(self, finding: Finding, t_ns: int) -> dict[str, Any]:
        """Add or replace a finding."""
        self._findings[finding.finding_id] = finding
        return self._row("put", finding, t_ns)

    def put_all_again(self, t_ns: int) -> list[dict[str, Any]]:
        """Return rows that put every finding once more: those kept from before a crash belong to this reading."""
        return [self._row("put", finding, t_ns) for finding in self._findings.values()]

    def remove_last(self, t_ns: int) -> dict[str, Any] | None:
        """Take the newest finding back; None where there is none."""
        if not self._findings:
            return None
        _, finding = self._findings.popitem()
        return self._row("remove", finding, t_ns)

    def _row(self, action: str, finding: Finding, t_ns: int) -> dict[str, Any]:
        return {
            "t_ns": t_ns,
            "reading_number": self.reading_number,
            "action": action,
            "finding_id": finding.finding_id,
            "label": finding.label,
            "present": finding.present,
            "certainty": finding.certainty,
            "rating": finding.rating,
            "image_index": finding.image_index,
            "shape": finding.shape,
            "box": None if finding.box is None else list(finding.box),
        }


def restored_findings(annotations: pa.Table, reading_number: int) -> dict[str, Finding]:
    """Return what a reader had marked on a study before the session was broken off."""
    kept: dict[str, Finding] = {}
    for row in annotations.sort_by("t_ns").to_pylist():
        if row["reading_number"] != reading_number:
            continue
        if row["action"] == "remove":
            kept.pop(row["finding_id"], None)
        elif row["action"] == "put" and row["label"] is not None:
            kept[row["finding_id"]] = Finding.from_message(row)
    return kept


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _box(value: Any) -> Box:
    x0, y0, x1, y1 = (float(v) for v in value)
    return x0, y0, x1, y1
