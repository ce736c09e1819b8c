"""EyeLink ASC: what SR Research's converter makes of an EDF recording.

Sources: EyeLink 1000 Plus user manual, section 4.9 "ASC file format"; public files. Read are samples of one or two
eyes in gaze px, at any rate (times are fractional at 2000 Hz), events, messages, validations. Left alone are
velocities, resolution, input, head target and flags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.trackers.issues import IssueLog, refuse
from gazecapture.trackers.recording import (
    EVENTS,
    MESSAGES,
    SAMPLES,
    VALIDATIONS,
    TrackerRecording,
    gap_starts,
    going_up,
)
from gazecapture.trackers.text_file import check_size, first_bytes, line_blocks
from keyframes.errors import GazeToolError
from keyframes.geometry import Display

__all__ = ["EYELINK_ASC"]

_LOOK_BYTES = 65536
"""Bytes in which a file of this format shows what it is; headers with a calibration log have about 10 kB."""
_MARKS = re.compile(rb"^(\*\* TYPE: EDF_FILE|\*\* CONVERTED FROM|START\t|MSG\t\d|SAMPLES\t)", re.MULTILINE)
_RATE_TOLERANCE = 0.05
"""Share by which the time stamps may differ from the rate that the file names; rounding to ms makes less."""
_NS_PER_MS = 1_000_000
_IGNORED = frozenset(
    ("PRESCALER", "VPRESCALER", "EVENTS", "INPUT", "BUTTON", "SFIX", "SSACC", "SBLINK", "LOST_DATA_EVENT")
)
_EYES = {"L": "left", "R": "right"}
_VALIDATION = re.compile(
    r"!CAL VALIDATION (?P<kind>\w+)\s+(?:LR|L|R)\s+(?P<eye>LEFT|RIGHT)\s+(?:(?P<quality>GOOD|FAIR|POOR)\s+ERROR\s+"
    r"(?P<mean>[\d.]+)\s+avg\.\s+(?P<max>[\d.]+)\s+max\s+OFFSET\s+(?P<offset>[\d.]+)\s+deg\.\s+"
    r"(?P<x>-?[\d.]+),(?P<y>-?[\d.]+)\s+pix\.|(?P<aborted>ABORTED))"
)
_COORDS = re.compile(r"(?:DISPLAY|GAZE)_COORDS?\s*=?\s+" + r"\s+".join([r"(-?\d+(?:\.\d+)?)"] * 4) + r"\s*$")


@dataclass(slots=True, kw_only=True)
class _Block:
    """What START and SAMPLES say of one stretch, and which samples are its own: [first, last)."""

    eyes: str
    """L, R or LR."""
    rate_hz: float | None
    first: int
    row: int
    last: int | None = None


@dataclass(slots=True, kw_only=True)
class _Header:
    """What the lines between samples have said so far."""

    blocks: list[_Block] = field(default_factory=list)
    eyes: str = ""
    rate_hz: float | None = None
    pupil_unit: str = "area_au"
    coords: tuple[float, float, float, float] | None = None
    messages: list[tuple[int, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    validations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def open_block(self) -> _Block | None:
        return self.blocks[-1] if self.blocks and self.blocks[-1].last is None else None


class _EyeLinkAsc:
    """See `gazecapture.trackers.recording.TrackerFile`."""

    format = "eyelink-asc"

    def fits(self, path: Path) -> bool:
        """Look for lines that only this format has."""
        return path.is_file() and _MARKS.search(first_bytes(path, _LOOK_BYTES)) is not None

    def read(
        self, path: Path, *, display: Display | None = None, tolerant: bool = False
    ) -> tuple[TrackerRecording, ...]:
        """Read the one recording of the file; ``display`` is not needed."""
        check_size(path)
        log = IssueLog(path, tolerant=tolerant)
        reader = _Reader(path, log)
        for content in line_blocks(path):
            reader.take(content)
        return (reader.finished(),)


class _Reader:
    """Takes a file piece by piece."""

    def __init__(self, path: Path, log: IssueLog) -> None:
        self._path = path
        self._log = log
        self._header = _Header()
        self._t_ns: list[NDArray[np.int64]] = []
        self._values: list[NDArray[np.float64]] = []
        self._n_read: list[NDArray[np.int8]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._n_samples = 0
        self._n_lines = 0

    def take(self, content: bytes) -> None:
        """Read a piece of whole lines."""
        from gazecapture.trackers.eyelink_lines import (
            scan_lines,
        )  # only here: every command would wait for it

        lines = scan_lines(content)
        for start, end, line, before in zip(
            lines.other_start.tolist(),
            lines.other_end.tolist(),
            lines.other_line.tolist(),
            lines.other_samples.tolist(),
            strict=True,
        ):
            self._other(content[start:end], self._n_lines + line + 1, self._n_samples + before)
        self._t_ns.append(lines.t_ns.copy())
        self._values.append(lines.values.copy())
        self._n_read.append(lines.n_read.copy())
        self._rows.append(lines.sample_line + (self._n_lines + 1))
        self._n_samples += lines.t_ns.size
        self._n_lines += lines.n_lines

    def finished(self) -> TrackerRecording:
        """Put the samples together by the blocks that they are of."""
        header, path = self._header, self._path
        if not header.blocks:
            raise refuse(
                path,
                "there is no START line, so that nobody knows which eye the samples are of",
                hint="Convert the EDF file with samples and events.",
            )
        block = header.open_block
        if block is not None:
            self._log.error(
                "GT-TRACKER-TRUNCATED",
                "the file ends inside a recording: its START line has no END line",
                row=block.row,
            )
            block.last = self._n_samples
        t_ns = np.concatenate(self._t_ns)
        values = np.concatenate(self._values)
        n_read, rows = np.concatenate(self._n_read), np.concatenate(self._rows)
        self._t_ns.clear()
        self._values.clear()
        block_of = np.full(t_ns.size, -1, np.int32)
        needed = np.zeros(t_ns.size, np.int8)
        left, right = np.full((t_ns.size, 3), np.nan), np.full((t_ns.size, 3), np.nan)
        for number, one in enumerate(header.blocks):
            part = slice(one.first, one.last)
            block_of[part] = number
            needed[part] = 3 * len(one.eyes)
            if "L" in one.eyes:
                left[part] = values[part, :3]
            if "R" in one.eyes:
                right[part] = values[part, -3:] if one.eyes == "LR" else values[part, :3]
        del values
        keep = self._readable(t_ns, n_read, needed, block_of, rows)
        if not keep.any():
            raise refuse(path, "the file holds no sample", code="GT-TRACKER-EMPTY")
        t_ns, block_of, left, right, rows = t_ns[keep], block_of[keep], left[keep], right[keep], rows[keep]
        t_ns = self._times(t_ns, block_of, rows)
        in_order = self._in_order(t_ns, block_of, rows)
        t_ns, block_of, left, right = t_ns[in_order], block_of[in_order], left[in_order], right[in_order]
        return self._recording(t_ns, block_of, left, right)

    def _recording(
        self,
        t_ns: NDArray[np.int64],
        block_of: NDArray[np.int32],
        left: NDArray[np.float64],
        right: NDArray[np.float64],
    ) -> TrackerRecording:
        header = self._header
        size_px: tuple[int, int] | None = None
        if header.coords is not None:
            x0, y0, x1, y1 = header.coords
            size_px = round(x1 - x0 + 1), round(y1 - y0 + 1)
            for eye in (left, right):
                eye[:, 0] -= x0
                eye[:, 1] -= y0
        for eye in (left, right):
            eye[eye[:, 2] <= 0, 2] = np.nan
            eye[~(np.isfinite(eye[:, 0]) & np.isfinite(eye[:, 1])), :2] = np.nan
        lost = np.full(t_ns.size, np.nan)
        columns = {
            "t_ns": t_ns, "t_device_ns": t_ns, "block": block_of,
            "left_x_px": left[:, 0], "left_y_px": left[:, 1], "left_pupil": left[:, 2],
            "right_x_px": right[:, 0], "right_y_px": right[:, 1], "right_pupil": right[:, 2],
            "x_px": lost, "y_px": lost,
        }  # fmt: skip
        rate_hz = self._rate(t_ns, block_of)
        if rate_hz is not None:
            gaps = gap_starts(t_ns, block_of, rate_hz).size
            if gaps:
                self._log.info("GT-TRACKER-GAP", "the tracker itself left out samples inside a block", n=gaps)
        return TrackerRecording(
            format=_EyeLinkAsc.format,
            manufacturer="SR Research",
            frame="screen",
            frame_size_px=size_px,
            rate_hz=rate_hz,
            pupil_unit=header.pupil_unit,
            samples=pa.table({name: np.ascontiguousarray(v) for name, v in columns.items()}, schema=SAMPLES),
            messages=pa.table(
                {"t_ns": [t for t, _ in header.messages], "text": [text for _, text in header.messages]},
                schema=MESSAGES,
            ),
            events=pa.Table.from_pylist(header.events, schema=EVENTS),
            validations=pa.Table.from_pylist(header.validations, schema=VALIDATIONS),
            issues=self._log.all(),
        )

    def _readable(
        self,
        t_ns: NDArray[np.int64],
        n_read: NDArray[np.int8],
        needed: NDArray[np.int8],
        block_of: NDArray[np.int32],
        rows: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        outside = block_of < 0
        if outside.any():
            # Calibration logs, which stand between recordings, have lines of numbers; a sample has three in a row.
            stray = np.flatnonzero(outside & (n_read >= 3) & (t_ns >= 0))
            if stray.size:
                self._log.error(
                    "GT-TRACKER-OUTSIDE",
                    "samples stand outside of START and END",
                    row=int(rows[stray[0]]),
                    n=stray.size,
                )
        bad = np.flatnonzero(~outside & ((n_read < needed) | (t_ns < 0)))
        if bad.size:
            first = int(bad[0])
            self._log.error(
                "GT-TRACKER-ROW",
                f"a sample line cannot be read: expected a time and {int(needed[first])} numbers or dots",
                row=int(rows[first]),
                n=bad.size,
            )
        good: NDArray[np.bool_] = ~outside & (n_read >= needed) & (t_ns >= 0)
        return good

    def _times(
        self, t_ns: NDArray[np.int64], block_of: NDArray[np.int32], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Put back the half milliseconds of 2000 Hz that a converter without fractional times has cut off."""
        whole = np.concatenate([[False], (t_ns[1:] == t_ns[:-1]) & (block_of[1:] == block_of[:-1])])
        whole &= t_ns % _NS_PER_MS == 0
        fast = np.array([b.rate_hz is not None and b.rate_hz > 1000.0 for b in self._header.blocks])
        whole &= fast[block_of]
        whole[1:] &= ~whole[:-1]
        if not whole.any():
            return t_ns
        self._log.info(
            "GT-TRACKER-WHOLE-MS",
            "times are cut to whole ms at 2000 Hz; every second sample is put half a ms later",
            row=int(rows[np.flatnonzero(whole)[0]]),
            n=int(whole.sum()),
        )
        return t_ns + np.where(whole, _NS_PER_MS // 2, 0)

    def _in_order(
        self, t_ns: NDArray[np.int64], block_of: NDArray[np.int32], rows: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Keep samples whose times go up."""
        good = going_up(t_ns)
        if not good.all():
            place = int(np.flatnonzero(~good)[0])
            self._log.error(
                "GT-TRACKER-TIME",
                "times do not go up: expected later than the sample before",
                row=int(rows[place]),
                n=int((~good).sum()),
            )
        return good

    def _rate(self, t_ns: NDArray[np.int64], block_of: NDArray[np.int32]) -> float | None:
        counts = np.bincount(block_of, minlength=len(self._header.blocks))
        named = self._header.blocks[int(np.argmax(counts))].rate_hz
        steps = np.diff(t_ns)[block_of[1:] == block_of[:-1]]
        measured = float(1e9 / np.median(steps)) if steps.size else None
        if named is None:
            return measured
        if len({b.rate_hz for b in self._header.blocks}) > 1:
            self._log.info("GT-TRACKER-RATE", "the blocks were recorded at different rates")
        elif measured is not None and abs(measured / named - 1) > _RATE_TOLERANCE:
            self._log.info(
                "GT-TRACKER-RATE", f"the file names {named:g} Hz, its time stamps give {measured:.1f} Hz"
            )
        return named

    def _other(self, line: bytes, row: int, n_before: int) -> None:
        """Take a line that is no sample."""
        text = line.decode("utf-8", "replace")
        keyword, _, rest = text.replace("\t", " ").partition(" ")
        header = self._header
        try:
            if keyword == "MSG":
                self._message(rest, row)
            elif keyword in ("EFIX", "ESACC", "EBLINK"):
                header.events.append(_event(keyword, rest.split()))
            elif keyword == "SAMPLES":
                self._samples(rest.split(), row)
            elif keyword == "START":
                self._start(rest.split(), row, n_before)
            elif keyword == "END":
                self._end(row, n_before)
            elif keyword == "PUPIL":
                header.pupil_unit = {"AREA": "area_au", "DIAMETER": "diameter_au"}[rest.split()[0]]
            elif keyword not in _IGNORED and not text.startswith("**") and header.open_block is not None:
                self._log.error(
                    "GT-TRACKER-ROW", "a line inside a recording begins with no known word", row=row
                )
        except GazeToolError:
            raise
        except (ValueError, IndexError, KeyError, OverflowError):
            known = keyword if keyword.isalpha() and keyword.isascii() else "?"
            self._log.error(
                "GT-TRACKER-ROW", f"a {known} line does not have the fields that it must", row=row
            )

    def _message(self, rest: str, row: int) -> None:
        time, _, text = rest.strip().partition(" ")
        t_ns, text = _ns(time), text.strip()
        self._header.messages.append((t_ns, text))
        coords = _COORDS.match(text)
        if coords is not None:
            found = tuple(float(value) for value in coords.groups())
            x0, y0, x1, y1 = found
            if not (x0 < x1 and y0 < y1):
                raise ValueError
            if self._header.coords not in (None, (x0, y0, x1, y1)):
                self._log.error(
                    "GT-TRACKER-COORDS", "the screen's coordinates change inside the file", row=row
                )
            self._header.coords = x0, y0, x1, y1
        elif text.startswith("!CAL VALIDATION"):
            found_validation = _VALIDATION.match(text)
            if found_validation is not None:
                self._header.validations.append(_validation(t_ns, found_validation))
            elif "ABORTED" not in text:
                self._log.info("GT-TRACKER-VALIDATION", "a validation line cannot be read", row=row)

    def _samples(self, words: list[str], row: int) -> None:
        if words[0] != "GAZE":
            raise refuse(
                self._path,
                "the samples are not in gaze px (expected SAMPLES GAZE)",
                code="GT-TRACKER-UNITS",
                row=row,
                hint="Convert the EDF file with gaze position as its sample type.",
            )
        header = self._header
        header.eyes = _eyes(words) or header.eyes
        header.rate_hz = _rate(words) if "RATE" in words else None
        block = header.open_block
        if block is not None:
            block.eyes, block.rate_hz = header.eyes or block.eyes, header.rate_hz

    def _start(self, words: list[str], row: int, n_before: int) -> None:
        _ns(words[0])
        header = self._header
        if header.open_block is not None:
            self._log.error("GT-TRACKER-TRUNCATED", "a START line follows another without an END", row=row)
            header.blocks[-1].last = n_before
        eyes = _eyes(words) or header.eyes
        if not eyes:
            raise ValueError
        header.blocks.append(_Block(eyes=eyes, rate_hz=header.rate_hz, first=n_before, row=row))

    def _end(self, row: int, n_before: int) -> None:
        block = self._header.open_block
        if block is None:
            self._log.error("GT-TRACKER-ROW", "an END line has no START line", row=row)
        else:
            block.last = n_before


def _eyes(words: list[str]) -> str:
    return ("L" if "LEFT" in words else "") + ("R" if "RIGHT" in words else "")


def _rate(words: list[str]) -> float:
    rate_hz = float(words[words.index("RATE") + 1])
    if not 1.0 <= rate_hz <= 10_000.0:
        raise ValueError
    return rate_hz


def _ns(text: str) -> int:
    """Read a time in ms, which may be fractional."""
    ms = float(text)
    if not 0.0 <= ms < 1e12:
        raise ValueError
    return round(ms * _NS_PER_MS)


def _number(words: list[str], place: int) -> float:
    """Read a field that may be a dot or be absent."""
    return float("nan") if place >= len(words) or words[place] == "." else float(words[place])


_KINDS: dict[str, Literal["fixation", "saccade", "blink"]] = {
    "EFIX": "fixation", "ESACC": "saccade", "EBLINK": "blink",
}  # fmt: skip


def _event(keyword: str, words: list[str]) -> dict[str, Any]:
    """Read an end event: eye, start, end, duration (which counts the last sample, so that the event is half-open)."""
    t_start_ns, duration_ns = _ns(words[1]), _ns(words[3])
    if _ns(words[2]) < t_start_ns:
        raise ValueError
    lost = float("nan")
    is_fixation, is_saccade = keyword == "EFIX", keyword == "ESACC"
    return {
        "kind": _KINDS[keyword],
        "eye": _EYES[words[0]],
        "t_start_ns": t_start_ns,
        "t_end_ns": t_start_ns + duration_ns,
        "x_px": _number(words, 4) if is_fixation else lost,
        "y_px": _number(words, 5) if is_fixation else lost,
        "amplitude_deg": _number(words, 8) if is_saccade else lost,
        "peak_velocity_deg_per_s": _number(words, 9) if is_saccade else lost,
    }


def _validation(t_ns: int, found: re.Match[str]) -> dict[str, Any]:
    points = re.sub(r"\D", "", found["kind"])
    aborted = found["aborted"] is not None
    lost = float("nan")
    return {
        "t_ns": t_ns,
        "eye": found["eye"].lower(),
        "n_points": int(points[:3] or 0),
        "quality": "ABORTED" if aborted else found["quality"],
        "accuracy_deg": lost if aborted else float(found["mean"]),
        "accuracy_max_deg": lost if aborted else float(found["max"]),
        "offset_deg": lost if aborted else float(found["offset"]),
        "offset_x_px": lost if aborted else float(found["x"]),
        "offset_y_px": lost if aborted else float(found["y"]),
    }


EYELINK_ASC = _EyeLinkAsc()
