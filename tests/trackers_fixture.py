"""Synthetic files of three trackers, to the contract of each format, from one made-up movement of two eyes.

Every personal field that a real file has is there with a planted mark, so that a test can see that none is carried on.
"""

from __future__ import annotations

import codecs
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANTED = "ZXMARKERXZ"
"""In every field of a file that names a person, a device, a place or a day."""
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """n samples of a synthetic tracker."""

    t_ns: NDArray[np.int64]
    left: FloatArray
    """(n, 3) x, y, pupil; NaN = lost."""
    right: FloatArray
    messages: tuple[tuple[int, str], ...] = ()
    fixations: tuple[tuple[int, int], ...] = ()
    blinks: tuple[tuple[int, int], ...] = ()
    breaks: tuple[int, ...] = field(default=())
    """Sample indexes at which the tracker was stopped and started again."""


def synthetic_eyes(
    n: int = 600, rate_hz: float = 500.0, *, seed: int = 1, t0_ns: int = 5_000_000_000
) -> Eyes:
    """Draw steps and a slow drift, on a grid of tenths of px that every format can hold."""
    rng = np.random.default_rng(seed)
    t_ns = t0_ns + np.round(np.arange(n) * (1e9 / rate_hz)).astype(np.int64)
    steps = np.repeat(rng.uniform(200, 900, (n // 60 + 1, 2)), 60, axis=0)[:n]
    point = steps + np.cumsum(rng.normal(0, 0.3, (n, 2)), axis=0)
    eyes = []
    for shift in (-3.0, 3.0):
        eye = np.column_stack([point + shift, 400 + rng.normal(0, 5, n)])
        eyes.append(np.round(eye, 1))
    for eye in eyes:
        eye[n // 3 : n // 3 + 12] = np.nan
    eyes[0][n // 2 : n // 2 + 5] = np.nan
    return Eyes(
        t_ns=t_ns,
        left=eyes[0],
        right=eyes[1],
        messages=((int(t_ns[10]), "reading 1 on"), (int(t_ns[-10]), "reading 1 off")),
        fixations=((int(t_ns[2]), int(t_ns[24])), (int(t_ns[52]), int(t_ns[80]))),
        blinks=((int(t_ns[n // 3]), int(t_ns[n // 3 + 12])),),
    )


def _ms(t_ns: int) -> str:
    """Write a time as the converter does: whole ms, with a fraction only where there is one."""
    whole, rest = divmod(int(t_ns), 1_000_000)
    return str(whole) if not rest else f"{whole}.{rest // 100_000}"


def write_eyelink_asc(
    path: Path,
    eyes: Eyes,
    *,
    which: str = "LR",
    rate_hz: float = 500.0,
    pupil: str = "AREA",
    extra: str = "",
    coords: str = "0.00 0.00 1919.00 1079.00",
    newline: str = "\n",
    whole_ms: bool = False,
) -> Path:
    """Write an ASC file as edf2asc does. ``extra``: columns before the flags, as input or head target."""
    names = {"L": "LEFT", "R": "RIGHT", "LR": "LEFT\tRIGHT"}[which]
    mark = f"<synthetic {PLANTED}>"
    lines = [
        f"** CONVERTED FROM D:\\{PLANTED}\\{PLANTED}.edf using edfapi 4.2.1 Linux on {PLANTED}",
        f"** DATE: {PLANTED}",
        "** TYPE: EDF_FILE BINARY EVENT SAMPLE TAGGED",
        "** VERSION: EYELINK II 1",
        "** SOURCE: EYELINK CL",
        f"** CAMERA: {PLANTED}",
        f"** SERIAL NUMBER: {PLANTED}",
        f"** RECORDED BY {mark}",
        "**",
        "",
    ]
    t0 = int(eyes.t_ns[0])
    lines += [
        f"MSG\t{_ms(t0 - 4_000_000_000)} !CAL ",
        ">>>>>>> CALIBRATION (HV9,P-CR) FOR LEFT: <<<<<<<<<",
        f"MSG\t{_ms(t0 - 4_000_000_000)} !CAL Calibration points:  ",
        "  -28.6, -45.2         0,     92   ",
        "1.5902e-05,  8.6479e-06",
        f"MSG\t{_ms(t0 - 3_000_000_000)} !CAL VALIDATION HV9 LR LEFT  GOOD ERROR 0.43 avg. 0.83 max  "
        "OFFSET 0.11 deg. 3.7,-2.4 pix.",
        f"MSG\t{_ms(t0 - 3_000_000_000)} !CAL VALIDATION HV9 LR RIGHT FAIR ERROR 1.10 avg. 1.60 max  "
        "OFFSET 0.36 deg. -9.3,12.6 pix.",
        f"MSG\t{_ms(t0 - 2_000_000_000)} !CAL VALIDATION HV9 LR LEFT ABORTED",
        f"MSG\t{_ms(t0 - 2_000_000)} RECCFG CR {rate_hz:.0f} 2 1 {which}",
        f"MSG\t{_ms(t0 - 2_000_000)} GAZE_COORDS {coords}",
    ]
    pending: list[tuple[int, str]] = [(t, f"MSG\t{_ms(t)} {text}") for t, text in eyes.messages]
    for start, end in eyes.fixations:
        pending += [
            (start, f"SFIX {eye}   {_ms(start)}\nEFIX {eye}   {_ms(start)}\t{_ms(end - _step(eyes))}\t"
             f"{_ms(end - start)}\t  965.4\t  553.0\t    281")
            for eye in which
        ]  # fmt: skip
    for start, end in eyes.blinks:
        pending += [
            (start, f"SBLINK {eye} {_ms(start)}\nEBLINK {eye} {_ms(start)}\t{_ms(end - _step(eyes))}\t"
             f"{_ms(end - start)}")
            for eye in which
        ]  # fmt: skip
    pending.sort(key=lambda item: item[0])
    columns = [eyes.left] * ("L" in which) + [eyes.right] * ("R" in which)
    flags = "." * (3 if len(which) == 1 else 5)
    edges = (0, *eyes.breaks, eyes.t_ns.size)
    for first, last in itertools.pairwise(edges):
        lines += [
            f"START\t{_ms(eyes.t_ns[first])} \t{names}\tSAMPLES\tEVENTS",
            "PRESCALER\t1",
            "VPRESCALER\t1",
            f"PUPIL\t{pupil}",
            f"EVENTS\tGAZE\t{names}\tRATE\t{rate_hz:.2f}\tTRACKING\tCR\tFILTER\t2",
            f"SAMPLES\tGAZE\t{names}\tRATE\t{rate_hz:.2f}\tTRACKING\tCR\tFILTER\t2",
        ]
        for i in range(first, last):
            t = int(eyes.t_ns[i])
            while pending and pending[0][0] <= t:
                lines.append(pending.pop(0)[1])
            cells = []
            for eye in columns:
                x, y, p = eye[i]
                cells += (
                    ["   .", "   .", "    0.0"] if np.isnan(x) else [f"{x:7.1f}", f"{y:7.1f}", f"{p:7.1f}"]
                )
            shown = str(t // 1_000_000) if whole_ms else _ms(t)
            lines.append("\t".join([shown, *cells, *([extra] if extra else []), flags]))
        lines.append(f"END\t{_ms(eyes.t_ns[last - 1])} \tSAMPLES\tEVENTS\tRES\t  38.54\t  31.12")
    lines += [text for _, text in pending]
    path.write_bytes((newline.join("\n".join(lines).split("\n")) + newline).encode())
    return path


def _step(eyes: Eyes) -> int:
    return int(np.median(np.diff(eyes.t_ns)))


def write_tobii_tsv(
    path: Path,
    eyes: Eyes,
    *,
    unit: str = "\u03bcs",
    decimal: str = ".",
    encoding: str = "utf-8-sig",
    frame: str = "DACS px",
    validity: tuple[str, str] = ("Valid", "Invalid"),
    recordings: int = 1,
    device_time: bool = True,
    bracket: bool = True,
    other_sensors: bool = True,
) -> Path:
    """Write an export as Pro Lab does: rows of all sensors and events by time. ``validity``: (seen, lost)."""
    scale = {"\u03bcs": 1e3, "\u00b5s": 1e3, "us": 1e3, "ms": 1e6}[unit]
    time_name = f"Recording timestamp [{unit}]" if bracket else "Recording timestamp"
    header = [time_name, "Computer timestamp [\u03bcs]", "Sensor", "Project name", "Export date", "Participant name",
              "Recording name", "Recording date", "Recording resolution height", "Recording resolution width",
              "Average validation accuracy [degrees]", "Event", "Event value", f"Gaze point X [{frame}]",
              f"Gaze point Y [{frame}]", f"Gaze point left X [{frame}]", f"Gaze point left Y [{frame}]",
              f"Gaze point right X [{frame}]", f"Gaze point right Y [{frame}]", "Pupil diameter left [mm]",
              "Pupil diameter right [mm]", "Validity left", "Validity right", "Mouse position X [DACS px]",
              "Eye movement type", "Gaze event duration [ms]", "Eye movement type index",
              f"Fixation point X [{frame}]", f"Fixation point Y [{frame}]"]  # fmt: skip
    if device_time:
        header.insert(1, "Eyetracker timestamp [\u03bcs]")
    lines = ["\t".join(header)]

    def number(value: float, digits: int = 4) -> str:
        text = "" if np.isnan(value) else f"{value:.{digits}f}".rstrip("0").rstrip(".")
        return text.replace(".", decimal)

    def row(t_ns: int, which: int, sensor: str, **cells: Any) -> str:
        fixed = {
            time_name: f"{(t_ns - int(eyes.t_ns[0])) / scale:.0f}" if unit != "ms" or not (t_ns % 1_000_000)
            else number((t_ns - int(eyes.t_ns[0])) / scale),
            "Computer timestamp [\u03bcs]": f"{t_ns // 1000 + 77}",
            "Sensor": sensor,
            "Project name": PLANTED, "Export date": PLANTED, "Participant name": f"{PLANTED} {which}",
            "Recording name": f"{PLANTED} {which}", "Recording date": PLANTED,
            "Recording resolution height": "1080", "Recording resolution width": "1920",
            "Average validation accuracy [degrees]": number(0.42),
        }  # fmt: skip
        return "\t".join(str((fixed | cells).get(name, "")) for name in header)

    for which in range(recordings):
        events = sorted([*eyes.messages])
        for i, t in enumerate(eyes.t_ns.tolist()):
            while events and events[0][0] <= t:
                moment, text = events.pop(0)
                lines.append(row(moment, which, "", **{"Event": "CustomEvent", "Event value": text}))
            if other_sensors and i % 7 == 0:
                lines.append(row(t - 200_000, which, "Mouse", **{"Mouse position X [DACS px]": "5"}))
            left, right = eyes.left[i], eyes.right[i]
            both = (
                np.nanmean([left[:2], right[:2]], axis=0)
                if np.isfinite([left[0], right[0]]).any()
                else left[:2]
            )
            in_fixation = next((k for k, (a, b) in enumerate(eyes.fixations) if a <= t < b), None)
            cells = {
                f"Gaze point X [{frame}]": number(both[0]), f"Gaze point Y [{frame}]": number(both[1]),
                f"Gaze point left X [{frame}]": number(left[0]), f"Gaze point left Y [{frame}]": number(left[1]),
                f"Gaze point right X [{frame}]": number(right[0]), f"Gaze point right Y [{frame}]": number(right[1]),
                "Pupil diameter left [mm]": number(left[2]), "Pupil diameter right [mm]": number(right[2]),
                "Validity left": validity[int(np.isnan(left[0]))], "Validity right": validity[int(np.isnan(right[0]))],
                "Eyetracker timestamp [\u03bcs]": f"{t // 1000 + 900_000_000}",
                "Eye movement type": "Unclassified" if in_fixation is None else "Fixation",
                "Eye movement type index": "1" if in_fixation is None else str(in_fixation + 1),
            }  # fmt: skip
            if in_fixation is not None:
                cells[f"Fixation point X [{frame}]"] = number(965.4)
                cells[f"Fixation point Y [{frame}]"] = number(553.0)
            lines.append(row(t, which, "Eye Tracker", **cells))
    text = "\r\n".join(lines) + "\r\n"
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    path.write_bytes(marks.get(encoding, b"") + text.encode(encoding))
    return path


def write_neon_cloud(folder: Path, eyes: Eyes) -> Path:
    """Write one recording's folder of a Timeseries export; the point of gaze is the left eye's."""
    folder.mkdir(parents=True)
    ids = f"{PLANTED}-section,{PLANTED}-recording"
    lines = [
        "section id,recording id,timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id,azimuth [deg],"
        "elevation [deg]"
    ]
    states = ["section id,recording id,timestamp [ns],pupil diameter left [mm],pupil diameter right [mm]"]
    for t, left, right in zip(eyes.t_ns.tolist(), eyes.left, eyes.right, strict=True):
        lost = np.isnan(left[0])
        x, y = ("700.0", "500.0") if lost else (f"{left[0]:.3f}", f"{left[1]:.3f}")
        lines.append(f"{ids},{t},{x},{y},{0.0 if lost else 1.0},,,1.5,-2.5")
        pupils = ["" if np.isnan(eye[2]) else f"{eye[2]:.4f}" for eye in (left, right)]
        states.append(f"{ids},{t},{pupils[0]},{pupils[1]}")
    (folder / "gaze.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "3d_eye_states.csv").write_text("\n".join(states) + "\n", encoding="utf-8")
    events = ["recording id,timestamp [ns],name,type"]
    events += [f"{PLANTED},{t},{text},recording" for t, text in eyes.messages]
    (folder / "events.csv").write_text("\n".join(events) + "\n", encoding="utf-8")
    fixations = ["section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],duration [ms],"
                 "fixation x [px],fixation y [px],azimuth [deg],elevation [deg]"]  # fmt: skip
    fixations += [
        f"{ids},{k + 1},{a},{b},{(b - a) / 1e6},965.4,553.0,0,0" for k, (a, b) in enumerate(eyes.fixations)
    ]
    (folder / "fixations.csv").write_text("\n".join(fixations) + "\n", encoding="utf-8")
    blinks = ["section id,recording id,blink id,start timestamp [ns],end timestamp [ns],duration [ms]"]
    blinks += [f"{ids},{k + 1},{a},{b},{(b - a) / 1e6}" for k, (a, b) in enumerate(eyes.blinks)]
    (folder / "blinks.csv").write_text("\n".join(blinks) + "\n", encoding="utf-8")
    _write_info(folder)
    return folder


def write_neon_native(folder: Path, eyes: Eyes, *, with_dtype: bool = True, late: bool = False) -> Path:
    """Write a native recording in as many parts as there are breaks. ``late``: gaze as computed afterwards."""
    folder.mkdir(parents=True)
    edges = (0, *eyes.breaks, eyes.t_ns.size)
    point, state = [("x", "float32"), ("y", "float32")], []
    for eye in ("left", "right"):
        names = [f"pupil_diameter_{eye}_mm"]
        names += [f"{what}_{eye}_{axis}" for what in ("eyeball_center", "optical_axis") for axis in "xyz"]
        state += [(name, "float32") for name in names]
    for number, (first, last) in enumerate(itertools.pairwise(edges), start=1):
        part = slice(first, last)
        stem = "gaze_200hz" if late else f"gaze ps{number}"
        lost = np.isnan(eyes.left[part, 0])
        eyes.t_ns[part].astype("<i8").tofile(folder / f"{stem}.time")
        np.where(lost[:, None], 700.0, eyes.left[part, :2]).astype("<f4").tofile(folder / f"{stem}.raw")
        worn = np.where(lost, 0, 255).astype("u1")
        worn.tofile(folder / ("worn_200hz.raw" if late else f"worn ps{number}.raw"))
        records = np.zeros(last - first, np.dtype(state))
        for eye, values in (("left", eyes.left), ("right", eyes.right)):
            records[f"pupil_diameter_{eye}_mm"] = np.nan_to_num(values[part, 2])
        records.tofile(folder / f"eye_state ps{number}.raw")
        eyes.t_ns[part].astype("<i8").tofile(folder / f"eye_state ps{number}.time")
    movement = np.dtype(
        [("event_type", "<i4"), ("start_timestamp_ns", "<i8"), ("end_timestamp_ns", "<i8")]
        + [(n, "<f4") for n in ("start_gaze_x", "start_gaze_y", "end_gaze_x", "end_gaze_y", "mean_gaze_x",
                                "mean_gaze_y", "amplitude_pixels", "amplitude_angle_deg", "mean_velocity",
                                "max_velocity")]
    )  # fmt: skip
    rows = np.zeros(len(eyes.fixations), movement)
    for k, (a, b) in enumerate(eyes.fixations):
        rows[k] = (1, a, b, 0, 0, 0, 0, 965.4, 553.0, 0, 0, 0, 0)
    rows.tofile(folder / "fixations ps1.raw")
    rows["end_timestamp_ns"].astype("<i8").tofile(folder / "fixations ps1.time")
    spans = np.array(eyes.blinks, "<i8").reshape(-1, 2)
    spans.tofile(folder / "blinks ps1.raw")
    spans[:, 1].astype("<i8").tofile(folder / "blinks ps1.time")
    if with_dtype:
        (folder / "gaze.dtype").write_text(repr(point))
        (folder / "eye_state.dtype").write_text(repr(state))
    lines = "".join(f"{text}\n" for _, text in eyes.messages)
    (folder / "event.txt").write_text(lines, encoding="utf-8")
    np.array([t for t, _ in eyes.messages], "<i8").tofile(folder / "event.time")
    _write_info(folder)
    (folder / "wearer.json").write_text(json.dumps({"uuid": PLANTED, "name": PLANTED}))
    return folder


def _write_info(folder: Path) -> None:
    fields = (
        "android_device_id",
        "module_serial_number",
        "wearer_id",
        "wearer_name",
        "workspace_id",
        "recording_id",
    )
    info = dict.fromkeys(fields, PLANTED) | {
        "note": "synthetic", "start_time": 1, "app_version": "2.9.40-prod", "gaze_offset": [0.0, 0.0],
    }  # fmt: skip
    (folder / "info.json").write_text(json.dumps(info))
