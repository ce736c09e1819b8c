"""The Lab Streaming Layer senders that the built-in profiles read: each one's real header, and samples in it.

Headers are those that the senders' own code makes, source by source; the values are synthetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Sender:
    """One sender: its header, three samples in it, and what a Reading must say of them.

    The display is 2000 x 1000 px. ``rows`` are values by place; expected values are by sample, NaN where lost.
    """

    profile: str
    name: str
    kind: str
    channels: tuple[Mapping[str, str], ...]
    rows: tuple[tuple[float, ...], ...]
    expected: Mapping[str, tuple[object, ...]]
    channel_format: str = "double64"
    nominal_rate_hz: float = 0.0
    source_id: str = "sender"
    acquisition: Mapping[str, str] = field(default_factory=dict)
    top: Mapping[str, str] = field(default_factory=dict)
    """Texts directly under desc."""
    n_undescribed: int = 0
    chunk_size: int = 0
    combined_by: str = "mean_of_valid"
    pupil_unit: str = "none"


def _eyelink() -> Sender:
    labels = ("leftEyeX", "leftEyeY", "rightEyeX", "rightEyeY", "leftPupilArea", "rightPupilArea", "pixelsPerDegreeX",
              "pixelsPerDegreeY", "eyelink_timestamp", "LSL_timestamp")  # fmt: skip
    first = (100.0, 200.0, 110.0, 220.0, 900.0, 1000.0, 40.0, 41.0, 5000.0, 1.0)
    return Sender(
        profile="eyelink", name="EyeLink", kind="Gaze", nominal_rate_hz=500, source_id="eyelink-host",
        channels=tuple({"label": label, "type": "eyetracking"} for label in labels),
        # The polled newest sample comes twice; then an eye that is not followed (0), one that is not seen (-32768).
        rows=(
            first,
            (*first[:9], 1.002),
            (0.0, 0.0, 110.0, 220.0, 0.0, 1000.0, 40.0, 41.0, 5002.0, 1.004),
            (-32768.0, -32768.0, -32768.0, -32768.0, 0.0, 0.0, 1e8, 1e8, 5004.0, 1.006),
        ),
        expected={
            "left_x_screen_px": (100.0, NAN, NAN), "right_y_screen_px": (220.0, 220.0, NAN),
            "x_screen_px": (105.0, 110.0, NAN), "y_screen_px": (210.0, 220.0, NAN),
            "left_valid": (True, False, False), "right_valid": (True, True, False), "valid": (True, True, False),
            "left_pupil": (900.0, NAN, NAN), "pupil": (950.0, 1000.0, NAN),
        },
        pupil_unit="area_au",
    )  # fmt: skip


def _tobiipro() -> Sender:
    def eye(side: str) -> list[dict[str, str]]:
        return [
            {"label": f"{side}_x", "eye": side, "type": "ScreenX", "unit": "screencoords"},
            {"label": f"{side}_y", "eye": side, "type": "ScreenY", "unit": "screencoords"},
            {"label": f"{side}_pupil", "eye": side, "type": "pupilsize"},
        ]

    return Sender(
        profile="tobiipro", name="Tobii", kind="Eyetracker", channel_format="float32", nominal_rate_hz=600,
        source_id="Tobiiat_tet-tcp://192.0.2.1", chunk_size=1200,
        acquisition={"manufacturer": "TobiiPro", "model": "TODO", "application": "TobiiProApp", "precision": "24"},
        channels=(*eye("left"), *eye("right")),
        rows=(
            (0.25, 0.5, 3.0, 0.75, 0.25, 4.0),
            (NAN, NAN, NAN, 0.75, 0.25, 4.0),
            (NAN, NAN, NAN, NAN, NAN, NAN),
        ),
        expected={
            "left_x_screen_px": (500.0, NAN, NAN), "left_y_screen_px": (500.0, NAN, NAN),
            "right_x_screen_px": (1500.0, 1500.0, NAN), "x_screen_px": (1000.0, 1500.0, NAN),
            "y_screen_px": (375.0, 250.0, NAN), "valid": (True, True, False), "pupil": (3.5, 4.0, NAN),
        },
        pupil_unit="mm",
    )  # fmt: skip


def _titta() -> Sender:
    def eye(side: str) -> list[dict[str, str]]:
        parts = [
            (f"{axis}.position_{where}.gaze_point", f"{kind}{axis.upper()}", unit)
            for where, kind, unit, axes in (
                ("on_display_area", "Screen", "normalized", "xy"),
                ("in_user_coordinates", "Intersection", "mm", "xyz"),
            )
            for axis in axes
        ]
        flags = [("valid", "ValidFlag"), ("available", "AvailableFlag")]
        parts += [(f"{flag}.gaze_point", kind, "bool") for flag, kind in flags]
        parts += [("diameter.pupil", "Diameter", "mm")]
        parts += [(f"{flag}.pupil", kind, "bool") for flag, kind in flags]
        parts += [
            (f"{axis}.position_in_{where}_coordinates.gaze_origin", f"Pupil{axis.upper()}", unit)
            for where, unit in (("user", "mm"), ("track_box", "normalized"))
            for axis in "xyz"
        ]
        parts += [(f"{flag}.gaze_origin", kind, "bool") for flag, kind in flags]
        parts += [("diameter.eye_openness", "EyeLidDistance", "mm")]
        parts += [(f"{flag}.eye_openness", kind, "bool") for flag, kind in flags]
        return [
            {"label": f"{label}.{side}_eye", "eye": side, "type": kind, "unit": unit}
            for label, kind, unit in parts
        ]

    def sample(
        left: tuple[float, float, int], right: tuple[float, float, int], t_s: float
    ) -> tuple[float, ...]:
        row: list[float] = []
        for (x, y, seen), pupil in ((left, 3.0), (right, 4.0)):
            row += [x, y, 1.0, 2.0, 3.0, seen, 1, pupil, seen, 1, *(0.5,) * 6, seen, 1, 9.0, seen, 1]
        return (*row, t_s)

    return Sender(
        profile="titta-lsl", name="Tobii_gaze", kind="Gaze", nominal_rate_hz=600,
        source_id="TittaLSL:Tobii_gaze@TPSP1", chunk_size=1,
        acquisition={"manufacturer": "Tobii", "model": "Tobii Pro Spectrum", "serial_number": "TPSP1",
                     "firmware_version": "1.0", "tracking_mode": "human"},
        channels=(*eye("left"), *eye("right")), n_undescribed=1,
        rows=(
            sample((0.25, 0.5, 1), (0.75, 0.25, 1), 7.0),
            sample((0.25, 0.5, 1), (0.75, 0.25, 1), 7.0),
            sample((0.9, 0.9, 0), (0.75, 0.25, 1), 7.002),
            sample((0.9, 0.9, 0), (0.9, 0.9, 0), 7.004),
        ),
        expected={
            "left_x_screen_px": (500.0, NAN, NAN), "x_screen_px": (1000.0, 1500.0, NAN),
            "y_screen_px": (375.0, 250.0, NAN), "left_valid": (True, False, False),
            "left_pupil": (3.0, NAN, NAN), "right_pupil": (4.0, 4.0, NAN), "pupil": (3.5, 4.0, NAN),
        },
        pupil_unit="mm",
    )  # fmt: skip


_GAZEPOINT = (
    ("FPOGX", "percent", "gaze"), ("FPOGY", "percent", "gaze"), ("FPOGS", "seconds", "gaze"),
    ("FPOGD", "seconds", "gaze"), ("FPOGID", "integer", "gaze"), ("FPOGV", "boolean", "gaze"),
    ("LPOGX", "percent", "gaze"), ("LPOGY", "percent", "gaze"), ("LPOGV", "boolean", "gaze"),
    ("RPOGX", "percent", "gaze"), ("RPOGY", "percent", "gaze"), ("RPOGV", "boolean", "gaze"),
    ("BPOGX", "percent", "gaze"), ("BPOGY", "percent", "gaze"), ("BPOGV", "boolean", "gaze"),
    ("LPCX", "percent", "gaze"), ("LPCY", "percent", "gaze"), ("LPD", "float", "diameter"),
    ("LPS", "unitless", "gaze"), ("LPV", "boolean", "gaze"), ("RPCX", "percent", "gaze"),
    ("RPCY", "percent", "gaze"), ("RPD", "float", "diameter"), ("RPS", "unitless", "gaze"),
    ("RPV", "boolean", "gaze"), ("BKID", "integer", "blink"), ("BKDUR", "seconds", "blink"),
    ("BKPMIN", "integer", "blink"), ("LPMM", "float", "diameter"), ("LPMMV", "boolean", "pupil"),
    ("RPMM", "float", "diameter"), ("RPMMV", "boolean", "pupil"),
)  # fmt: skip


def _gazepoint() -> Sender:
    def sample(**values: float) -> tuple[float, ...]:
        return tuple(values.get(label, 0.0) for label, _, _ in _GAZEPOINT)

    fixation = {"FPOGX": 0.1, "FPOGY": 0.1, "FPOGV": 1.0}
    right = {"RPOGX": 0.75, "RPOGY": 0.25, "RPOGV": 1.0, "RPMM": 4.0, "RPMMV": 1.0}
    both = {"LPOGX": 0.25, "LPOGY": 0.5, "LPOGV": 1.0, "LPMM": 3.0, "LPMMV": 1.0, **right, **fixation}
    return Sender(
        profile="gazepoint", name="GazepointEyeTracker", kind="gaze", channel_format="float32", nominal_rate_hz=60,
        source_id="gazepoint000", top={"manufacturer": "Gazepoint"},
        channels=tuple({"label": label, "unit": unit, "type": kind} for label, unit, kind in _GAZEPOINT),
        rows=(
            sample(**both, BPOGX=0.5, BPOGY=0.375, BPOGV=1.0),
            sample(**right, **fixation, BPOGX=0.75, BPOGY=0.25, BPOGV=1.0, LPOGX=0.9, LPOGY=0.9, LPMM=9.0),
            sample(**fixation, BPOGX=0.9, BPOGY=0.9),
        ),
        expected={
            "left_x_screen_px": (500.0, NAN, NAN), "right_y_screen_px": (250.0, 250.0, NAN),
            "x_screen_px": (1000.0, 1500.0, NAN), "y_screen_px": (375.0, 250.0, NAN),
            "left_valid": (True, False, False), "valid": (True, True, False),
            "left_pupil": (3.0, NAN, NAN), "pupil": (3.5, 4.0, NAN),
        },
        combined_by="device", pupil_unit="mm",
    )  # fmt: skip


def _neon() -> Sender:
    channels = [
        {"label": "x", "eye": "both", "type": "ScreenX", "unit": "pixels", "coordinate_system": "world"},
        {"label": "y", "eye": "both", "type": "ScreenY", "unit": "pixels", "coordinate_system": "world"},
    ]
    for side in ("left", "right"):
        channels.append({"label": "PupilDiameter", "eye": side, "type": "Diameter", "unit": "mm"})
        channels += [
            {"label": f"EyeballCenter{axis}", "eye": side, "type": f"Position{axis}", "unit": "mm"}
            for axis in "XYZ"
        ]
    tail = (0.0, 0.0, -30.0)
    return Sender(
        profile="neon", name="Neon Companion_Neon Gaze", kind="Gaze", channel_format="float32", nominal_rate_hz=200,
        source_id="companion", channels=tuple(channels), acquisition={"manufacturer": "Pupil Labs", "model": "Neon"},
        rows=(
            (800.0, 600.0, 3.0, *tail, 4.0, *tail),
            (801.0, 601.0, 0.0, *tail, 4.0, *tail),
            (NAN, NAN, 0.0, *tail, 0.0, *tail),
        ),
        expected={
            "x_scene_px": (800.0, 801.0, NAN), "y_scene_px": (600.0, 601.0, NAN), "x_screen_px": (NAN, NAN, NAN),
            "x_image_px": (NAN, NAN, NAN), "valid": (False, False, False), "left_pupil": (3.0, NAN, NAN),
            "pupil": (3.5, 4.0, NAN),
        },
        combined_by="device", pupil_unit="mm",
    )  # fmt: skip


def _invisible() -> Sender:
    said = {"eye": "both", "unit": "pixels", "coordinate_system": "world"}
    return Sender(
        profile="invisible", name="pupil_invisible_Gaze", kind="Gaze", source_id="device_Gaze",
        channels=({"label": "x", "metatype": "ScreenX", **said}, {"label": "y", "metatype": "ScreenY", **said}),
        acquisition={"manufacturer": "Pupil Labs", "model": "Pupil Invisible", "world_camera_serial": "w1"},
        rows=((540.0, 500.0), (0.0, 7.0), (NAN, NAN)),
        expected={
            "x_scene_px": (540.0, 0.0, NAN), "y_scene_px": (500.0, 7.0, NAN), "x_screen_px": (NAN, NAN, NAN),
            "valid": (False, False, False),
        },
        combined_by="device",
    )  # fmt: skip


def _capture() -> Sender:
    channels = [{"label": "confidence", "eye": "both", "type": "Confidence", "unit": "normalized"}]
    world = {"eye": "both", "coordinate_system": "world"}
    channels += [
        {"label": f"norm_pos_{a}", "type": f"Screen{a.upper()}", "unit": "normalized", **world} for a in "xy"
    ]
    channels += [
        {"label": f"gaze_point_3d_{a}", "type": f"Direction{a.upper()}", "unit": "mm", **world} for a in "xyz"
    ]
    sides = ("right", "left")
    for what in ("eye_center{}_3d_{}", "gaze_normal{}_{}"):
        channels += [
            {"label": what.format(eye, a), "eye": sides[eye], "type": f"Position{a.upper()}", "unit": "mm",
             "coordinate_system": "world"}
            for eye in range(2) for a in "xyz"
        ]  # fmt: skip
    channels += [
        {"label": f"diameter{eye}_{d}", "eye": sides[eye], "type": "Diameter", "unit": unit,
         "coordinate_system": f"eye{eye}"}
        for d, unit in (("2d", "pixels"), ("3d", "mm")) for eye in range(2)
    ]  # fmt: skip
    tail = (0.0,) * 15
    return Sender(
        profile="capture", name="pupil_capture", kind="Gaze", source_id="uuid",
        channels=tuple(channels), top={"pupil_lsl_relay_version": "2.1"},
        rows=(
            (0.99, 0.25, 0.75, *tail, 50.0, 60.0, 4.0, 3.0),
            (0.95, 0.5, 0.0, *tail, 50.0, NAN, 4.0, NAN),
            (0.3, 0.5, 0.5, *tail, NAN, NAN, NAN, NAN),
        ),
        # y is up: 0.75 from below is a quarter from above.
        expected={
            "x_scene_px": (320.0, 640.0, NAN), "y_scene_px": (180.0, 720.0, NAN), "x_screen_px": (NAN, NAN, NAN),
            "left_pupil": (3.0, NAN, NAN), "right_pupil": (4.0, 4.0, NAN),
        },
        combined_by="device", pupil_unit="mm",
    )  # fmt: skip


def _generic() -> Sender:
    described = (
        ("gx", "ScreenX", "right", "pixels"), ("gy", "ScreenY", "right", "pixels"),
        ("size", "Radius", "right", "pixels"), ("sure", "Confidence", "right", "normalized"),
    )  # fmt: skip
    return Sender(
        profile="xdf-generic", name="Somebody's tracker", kind="Gaze", channel_format="int32", nominal_rate_hz=100,
        channels=tuple({"label": la, "type": k, "eye": e, "unit": u} for la, k, e, u in described),
        rows=((100, 200, 10, 1), (-1, -1, -1, 1), (120, 220, 11, 0)),
        expected={
            "right_x_screen_px": (100.0, NAN, NAN), "left_x_screen_px": (NAN, NAN, NAN),
            "y_screen_px": (200.0, NAN, NAN), "valid": (True, False, False), "right_pupil": (20.0, NAN, 22.0),
        },
        combined_by="right", pupil_unit="px",
    )  # fmt: skip


SENDERS = tuple(
    make() for make in (_eyelink, _tobiipro, _titta, _gazepoint, _neon, _invisible, _capture, _generic)
)
