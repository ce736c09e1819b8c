"""Tobii Pro Lab: the tab-separated export of recordings.

Sources: public readers and test data of exports, versions 1.1 to 24. Read are gaze of both eyes and the combined
point, pupils, validity, events, eye movements, the average validation accuracy. Rows of other sensors are left out.
Pro Lab gives gaze in px of the display (DACS) or of the medium shown (MCS), which for glasses is the scene video.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
from gazecapture.trackers.text_file import check_size, first_bytes
from gazecapture.trackers.tobii_columns import SECONDS, Columns, Header, find_columns
from gazecapture.trackers.tobii_table import LOOK_BYTES, header_row, read_table
from keyframes.geometry import Display

__all__ = ["TOBII_TSV"]

_US_AT_LEAST, _MS_AT_MOST = 500.0, 50.0
"""Median step between samples, in the unit that a header without one leaves open: trackers of 20 to 2000 Hz make
0.5 to 50 ms or 500 to 50000 microseconds, so that what lies between is neither."""
_SPAN_LIMIT_S = 1e11
"""s; 3000 years. A number of ns beyond it does not fit 64 bits."""


class _TobiiTsv:
    """See `gazecapture.trackers.recording.TrackerFile`."""

    format = "tobii-tsv"

    def fits(self, path: Path) -> bool:
        """Look for a header row with a recording timestamp."""
        if not path.is_file():
            return False
        try:
            _, header = header_row(first_bytes(path, LOOK_BYTES))
        except (UnicodeDecodeError, csv.Error):
            return False
        return any(name.strip().casefold().startswith("recording timestamp") for name in header)

    def read(
        self, path: Path, *, display: Display | None = None, tolerant: bool = False
    ) -> tuple[TrackerRecording, ...]:
        """Read every recording of the export; ``display`` is needed where it gives mm or shares of the screen."""
        check_size(path)
        log = IssueLog(path, tolerant=tolerant)
        try:
            encoding, names = header_row(first_bytes(path, LOOK_BYTES))
        except (UnicodeDecodeError, csv.Error):
            raise refuse(
                path,
                "the file is neither UTF-8 nor UTF-16 with its mark",
                code="GT-TRACKER-ENCODING",
                hint="Export it again as UTF-8.",
            ) from None
        columns = find_columns(names)
        if columns is None:
            raise refuse(
                path,
                "the export lacks a recording timestamp or every gaze point",
                hint="Export with the columns Recording timestamp and Gaze point left/right X/Y [DACS px].",
            )
        if len(set(names)) < len(names):
            twice = [h for h in (*columns.numbers(), *columns.texts()) if names.count(h.text) > 1]
            if twice:
                raise refuse(path, "a column stands in the header row twice")
        table = read_table(path, encoding, names, columns, log)
        if not table.num_rows:
            raise refuse(path, "the export holds no rows", code="GT-TRACKER-EMPTY")
        return _Export(path, table, columns, display, log).recordings()


class _Export:
    """All rows of one file."""

    def __init__(
        self, path: Path, table: pa.Table, columns: Columns, display: Display | None, log: IssueLog
    ) -> None:
        self._path = path
        self._table = table
        self._columns = columns
        self._display = display
        self._log = log

    def recordings(self) -> tuple[TrackerRecording, ...]:
        """Tell the recordings apart and read each, in the order in which they begin in the file."""
        of = np.zeros(self._table.num_rows, np.int64)
        for header in self._columns.recording:
            codes = self._codes(header)
            of = of * (int(codes.max(initial=0)) + 2) + codes + 1
        _, first, number = np.unique(of, return_index=True, return_inverse=True)
        found = []
        for index in np.argsort(first, kind="stable"):
            rows = np.flatnonzero(number == index)
            recording = self._recording(rows)
            if recording is not None:
                found.append(recording)
        if not found:
            raise refuse(self._path, "no row is of the eye tracker", code="GT-TRACKER-EMPTY")
        return tuple(found)

    def _recording(self, rows: NDArray[np.intp]) -> TrackerRecording | None:
        columns, log = self._columns, self._log
        time = self._numbers(columns.time)[rows]
        is_sample = self._is_sample(rows)
        if not is_sample.any():
            return None
        scale = self._seconds_per_unit(columns.time, time[is_sample])
        readable = np.isfinite(time) & (np.abs(time) * scale < _SPAN_LIMIT_S)
        if not readable.all():
            log.error(
                "GT-TRACKER-TIME",
                "a row has no recording timestamp",
                row=int(rows[np.flatnonzero(~readable)[0]]) + 2,
                n=int((~readable).sum()),
            )
        t_ns = np.round(np.where(readable, time, 0.0) * (scale * 1e9)).astype(np.int64)
        messages = self._messages(rows[readable], t_ns[readable])
        is_sample &= readable
        samples, kept, frame, size_px = self._samples(rows, t_ns, is_sample)
        if not samples.num_rows:
            return None
        times, block = samples.column("t_ns").to_numpy(), samples.column("block").to_numpy()
        steps = np.diff(times)
        rate_hz = float(1e9 / np.median(steps)) if steps.size else None
        if rate_hz is not None:
            gaps = gap_starts(times, block, rate_hz).size
            if gaps:
                log.info("GT-TRACKER-GAP", "the recording itself lacks samples", n=gaps)
        return TrackerRecording(
            format=_TobiiTsv.format,
            manufacturer="Tobii",
            frame=frame,
            frame_size_px=size_px,
            rate_hz=rate_hz,
            pupil_unit="mm" if columns.pupils else "none",
            samples=samples,
            messages=messages,
            events=self._movements(rows[kept], times),
            validations=self._validation(rows, int(times[0])),
            issues=log.all(),
        )

    def _is_sample(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Say which rows are the eye tracker's own; others are of the mouse, of a motion sensor, or events."""
        columns = self._columns
        if columns.sensor is not None:
            words = self._words(columns.sensor)
            if words:
                eye = np.array([word.strip().casefold() in ("eye tracker", "eyetracker") for word in words])
                codes = self._codes(columns.sensor)[rows]
                is_eye: NDArray[np.bool_] = (codes >= 0) & eye[codes]
                if is_eye.any():
                    return is_eye
        is_sample = np.zeros(rows.size, np.bool_)
        for header in columns.validity.values():
            is_sample |= self._codes(header)[rows] >= 0
        for header in columns.positions.values():
            is_sample |= np.isfinite(self._numbers(header)[rows])
        if columns.event is not None:
            is_sample &= self._codes(columns.event)[rows] < 0
        return is_sample

    def _samples(
        self, rows: NDArray[np.intp], t_ns: NDArray[np.int64], is_sample: NDArray[np.bool_]
    ) -> tuple[pa.Table, NDArray[np.intp], Literal["screen", "scene"], tuple[int, int] | None]:
        columns, log = self._columns, self._log
        places = np.flatnonzero(is_sample)
        times = t_ns[places]
        in_order = going_up(times)
        if not in_order.all():
            log.error(
                "GT-TRACKER-TIME",
                "times of the eye tracker's rows do not go up",
                row=int(rows[places[np.flatnonzero(~in_order)[0]]]) + 2,
                n=int((~in_order).sum()),
            )
        places = places[in_order]
        mine = rows[places]
        times = t_ns[places]
        device = times
        if columns.device_time is not None:
            raw = self._numbers(columns.device_time)[mine]
            scale = SECONDS.get(columns.device_time.unit, 1e-6)
            whole = np.isfinite(raw) & (np.abs(raw) * scale < _SPAN_LIMIT_S)
            if whole.all():
                device = np.round(raw * (scale * 1e9)).astype(np.int64)
            else:
                log.info(
                    "GT-TRACKER-TIME-DEVICE",
                    "the tracker's own time is absent in places and is not used",
                    n=int((~whole).sum()),
                )
        frame: Literal["screen", "scene"] = "scene" if columns.frame == "mcs" else "screen"
        size_px = self._resolution(rows)
        factors = self._to_px(size_px)
        values = {key: np.full(mine.size, np.nan) for key in SAMPLES.names[3:]}
        for key, header in columns.positions.items():
            values[f"{key}_px"] = self._numbers(header)[mine] * factors[key[-1]]
        for eye, header in columns.pupils.items():
            pupil = self._numbers(header)[mine]
            values[f"{eye}_pupil"] = np.where(pupil > 0, pupil, np.nan)
        for eye, header in columns.validity.items():
            seen = np.isfinite(values[f"{eye}_x_px"])
            invalid = ~self._valid(header, mine, seen)
            for key in (f"{eye}_x_px", f"{eye}_y_px", f"{eye}_pupil"):
                values[key] = np.where(invalid, np.nan, values[key])
        for prefix in ("left_", "right_", ""):
            x, y = values[f"{prefix}x_px"], values[f"{prefix}y_px"]
            lost = ~(np.isfinite(x) & np.isfinite(y))
            values[f"{prefix}x_px"], values[f"{prefix}y_px"] = (
                np.where(lost, np.nan, x),
                np.where(lost, np.nan, y),
            )
        table = pa.table(
            {"t_ns": times, "t_device_ns": device, "block": np.zeros(mine.size, np.int32), **values},
            schema=SAMPLES,
        )
        return table, places, frame, size_px

    def _to_px(self, size_px: tuple[int, int] | None) -> dict[str, float]:
        """Return what positions are multiplied with to become px."""
        unit, display = self._columns.unit, self._display
        if unit in ("px", ""):
            return {"x": 1.0, "y": 1.0}
        width_px, height_px = size_px or (0, 0)
        if display is not None and not size_px:
            width_px, height_px = display.width_px, display.height_px
        if unit == "norm" and width_px:
            return {"x": float(width_px), "y": float(height_px)}
        if unit == "mm" and width_px and display is not None and display.width_mm and display.height_mm:
            self._log.info(
                "GT-TRACKER-MM", "gaze in mm is taken to count from the screen's top left corner, y down"
            )
            return {"x": width_px / display.width_mm, "y": height_px / display.height_mm}
        raise refuse(
            self._path,
            f"the export gives gaze in {unit} only, and the size of the screen is not known",
            code="GT-TRACKER-UNITS",
            hint="Export Gaze point left/right X/Y in px of the display (DACS px).",
        )

    def _resolution(self, rows: NDArray[np.intp]) -> tuple[int, int] | None:
        found = []
        for header in (self._columns.width, self._columns.height):
            words = set() if header is None else self._present(header, rows)
            if len(words) != 1:
                return None
            word = words.pop().strip()
            if not word.isdigit() or not 0 < int(word[:6]) < 100_000:
                return None
            found.append(int(word[:6]))
        return found[0], found[1]

    def _valid(self, header: Header, rows: NDArray[np.intp], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Read a validity column, of words or of numbers."""
        words, codes = [w.strip().casefold() for w in self._words(header)], self._codes(header)[rows]
        if all(word in ("valid", "invalid") for word in words):
            good = np.array([word == "valid" for word in words] or [False])
        else:
            try:
                numbers = [float(word.replace(",", ".")) for word in words]
            except ValueError:
                self._log.error(
                    "GT-TRACKER-VALIDITY", "a validity is neither a word that is known nor a number"
                )
                return seen
            good = np.array([self._is_good(number, numbers, codes, seen) for number in numbers])
        valid: NDArray[np.bool_] = (codes >= 0) & good[codes]
        return valid

    def _is_good(
        self, number: float, numbers: list[float], codes: NDArray[np.int32], seen: NDArray[np.bool_]
    ) -> bool:
        """Say what a number means: 0 to 4 in one software (0, 1 are good), 1 for good and 0 for bad in the other."""
        if set(numbers) - {0.0, 1.0}:
            return number in (0.0, 1.0)
        shares = {
            value: float(seen[codes == place].mean()) if (codes == place).any() else 0.0
            for place, value in enumerate(numbers)
        }
        ones, zeros = shares.get(1.0), shares.get(0.0)
        if ones is None or zeros is None:
            return bool(shares[number] > 0.0)
        self._log.info(
            "GT-TRACKER-VALIDITY-CODES", "validities are 0 and 1; the one with more gaze is taken for good"
        )
        return number == (1.0 if ones > zeros else 0.0)

    def _messages(self, rows: NDArray[np.intp], t_ns: NDArray[np.int64]) -> pa.Table:
        event, value = self._columns.event, self._columns.event_value
        if event is None:
            return MESSAGES.empty_table()
        codes = self._codes(event)[rows]
        places = np.flatnonzero(codes >= 0)
        words = self._words(event)
        texts = [words[code] for code in codes[places]]
        if value is not None:
            said, more = self._codes(value)[rows[places]], self._words(value)
            texts = [
                f"{text} {more[code]}" if code >= 0 else text
                for text, code in zip(texts, said.tolist(), strict=True)
            ]
        return pa.table({"t_ns": t_ns[places], "text": texts}, schema=MESSAGES)

    def _movements(self, rows: NDArray[np.intp], t_ns: NDArray[np.int64]) -> pa.Table:
        """Give runs of one eye movement as events, from its first sample to the first of the next."""
        movement, index = self._columns.movement, self._columns.movement_index
        if movement is None or rows.size < 2:
            return EVENTS.empty_table()
        codes = self._codes(movement)[rows].astype(np.int64)
        runs = codes if index is None else codes * (1 << 32) + self._codes(index)[rows]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(runs)) + 1])
        ends = np.append(starts[1:], rows.size)
        step = int(np.median(np.diff(t_ns)))
        names = {"fixation": "fixation", "saccade": "saccade"}
        kinds = [names.get(word.strip().casefold(), "") for word in self._words(movement)]
        lost = np.full(rows.size, np.nan)
        x = lost if self._columns.fixation_x is None else self._numbers(self._columns.fixation_x)[rows]
        y = lost if self._columns.fixation_y is None else self._numbers(self._columns.fixation_y)[rows]
        chosen = [i for i, start in enumerate(starts) if codes[start] >= 0 and kinds[codes[start]]]
        first = starts[chosen]
        last = ends[chosen]
        t_end = np.where(last < rows.size, t_ns[np.minimum(last, rows.size - 1)], t_ns[-1] + step)
        none = np.full(first.size, np.nan)
        is_fixation = np.array([kinds[codes[s]] == "fixation" for s in first], np.bool_)
        return pa.table(
            {
                "kind": [kinds[codes[s]] for s in first],
                "eye": ["both"] * first.size,
                "t_start_ns": t_ns[first],
                "t_end_ns": t_end,
                "x_px": np.where(is_fixation, x[first], np.nan),
                "y_px": np.where(is_fixation, y[first], np.nan),
                "amplitude_deg": none,
                "peak_velocity_deg_per_s": none,
            },
            schema=EVENTS,
        )

    def _validation(self, rows: NDArray[np.intp], t_ns: int) -> pa.Table:
        header = self._columns.accuracy_deg
        if header is None:
            return VALIDATIONS.empty_table()
        values = self._numbers(header)[rows]
        values = values[np.isfinite(values)]
        if not values.size:
            return VALIDATIONS.empty_table()
        lost = float("nan")
        row = {
            "t_ns": t_ns, "eye": "both", "n_points": 0, "quality": "", "accuracy_deg": float(values[0]),
            "accuracy_max_deg": lost, "offset_deg": lost, "offset_x_px": lost, "offset_y_px": lost,
        }  # fmt: skip
        return pa.Table.from_pylist([row], schema=VALIDATIONS)

    def _seconds_per_unit(self, header: Header, time: NDArray[np.float64]) -> float:
        if header.unit in SECONDS:
            return SECONDS[header.unit]
        steps = np.diff(time[np.isfinite(time)])
        step = float(np.median(steps)) if steps.size else 0.0
        if not header.unit and step >= _US_AT_LEAST:
            unit = "us"
        elif not header.unit and 0.0 < step <= _MS_AT_MOST:
            unit = "ms"
        else:
            raise refuse(
                self._path,
                "the unit of the recording timestamp is not known",
                code="GT-TRACKER-UNITS",
                hint="Export with a header that names it, as Recording timestamp [ms].",
            )
        self._log.info("GT-TRACKER-TIME-UNIT", f"the time's unit is not named; its steps are those of {unit}")
        return SECONDS[unit]

    def _numbers(self, header: Header) -> NDArray[np.float64]:
        values: NDArray[np.float64] = pc.fill_null(self._table.column(header.text), np.nan).to_numpy()
        return values

    def _array(self, header: Header) -> pa.DictionaryArray:
        column = self._table.column(header.text)
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)

    def _codes(self, header: Header) -> NDArray[np.int32]:
        """Return each row's place in `_words`; -1 where the cell is empty."""
        codes: NDArray[np.int32] = pc.fill_null(self._array(header).indices, -1).to_numpy()
        return codes

    def _words(self, header: Header) -> list[str]:
        words: list[str] = self._array(header).dictionary.to_pylist()
        return words

    def _present(self, header: Header, rows: NDArray[np.intp]) -> set[str]:
        words = self._words(header)
        return {words[code] for code in np.unique(self._codes(header)[rows]) if code >= 0}


TOBII_TSV = _TobiiTsv()
