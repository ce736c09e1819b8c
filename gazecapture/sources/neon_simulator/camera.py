"""The scene camera: its calibration, its picture of the screen, the coding of that into H.264."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.screen.tags import draw_tags, tag_layout
from gazecapture.sources.neon_phone import import_neon
from gazecapture.sources.neon_simulator.wearer import Wearer
from keyframes.geometry import Display

__all__ = ["CALIBRATION_DTYPE", "SERIAL", "H264Encoder", "SceneCamera", "calibration_bytes"]

SERIAL = "SIM001"
WIDTH_PX, HEIGHT_PX = 1600, 1200
FOCAL_PX = 890.0
DISTORTION = (-0.131, 0.109, 0.0003, -0.0002, 0.011, 0.168, 0.055, 0.028)
"""k1, k2, p1, p2, k3, k4, k5, k6 of OpenCV's rational model: a wide lens, of the size that real modules have."""
WALL_GREY = 70
SCREEN_GREY = 110
NOISE_FRAMES = 4
EDGE_POINTS, EDGE_MARGIN_PX = 9, 3
"""Points along each of the screen's edges, which the lens bends, and px by which they may bulge between those."""
PIXEL_APERTURE_SD = 0.4
"""Sensor px; a square pixel gathers light over one px, whose SD is 0.29, its lens over a little more."""
_CAMERA = [("camera_matrix", "<f8", (3, 3)), ("distortion_coefficients", "<f8", (8,)),
           ("extrinsics_affine_matrix", "<f8", (4, 4))]  # fmt: skip
CALIBRATION_DTYPE = np.dtype(
    [("version", "u1"), ("serial", "S6")]
    + [
        (f"{camera}_{name}", kind, shape)
        for camera in ("scene", "right", "left")
        for name, kind, shape in _CAMERA
    ]
    + [("crc", "<u4")]
)
"""calibration.bin of the Companion app (pupil_labs.neon_recording.calib)."""


class SceneCamera:
    """Sees one screen as its wearer moves; scene px as OpenCV has them, whole numbers at the pixels' middles.

    Parameters
    ----------
    scale : of width, height and focal length.
    """

    def __init__(
        self, wearer: Wearer, display: Display, *, scale: float, noise_sd: float, blur_px: float, seed: int
    ) -> None:
        self._wearer = wearer
        self._display = display
        # Even sides, as the codec's half-resolution colour wants them.
        self.width_px, self.height_px = (2 * round(side * scale / 2) for side in (WIDTH_PX, HEIGHT_PX))
        self.matrix = np.array(
            [
                [FOCAL_PX * self.width_px / WIDTH_PX, 0, self.width_px / 2],
                [0, FOCAL_PX * self.height_px / HEIGHT_PX, self.height_px / 2],
                [0, 0, 1],
            ]
        )
        self.distortion = np.array(DISTORTION)
        self._blur_px = blur_px * scale
        random = np.random.default_rng(seed)
        shape = (self.height_px, self.width_px)
        self._noise = [
            random.normal(0, noise_sd, shape).round().astype(np.int16) if noise_sd > 0 else None
            for _ in range(NOISE_FRAMES)
        ]

    def project(self, x_screen_px: float, y_screen_px: float, t_s: float) -> tuple[float, float]:
        """Return where a point of the screen is in the (distorted) picture, scene px."""
        ray = self._wearer.screen_to_camera(t_s) @ np.array([x_screen_px, y_screen_px, 1.0])
        x, y = _distorted(ray[0] / ray[2], ray[1] / ray[2])
        m = self.matrix
        return float(m[0, 0] * x + m[0, 2]), float(m[1, 1] * y + m[1, 2])

    def picture(self, t_s: float, number: int) -> NDArray[np.uint8]:
        """Return what the camera sees, grey, (height, width)."""
        import cv2

        to_camera = self._wearer.screen_to_camera(t_s)
        to_screen = np.linalg.inv(to_camera).astype(np.float32)
        seen = np.full((self.height_px, self.width_px), WALL_GREY, np.uint8)
        part = self._screens_part(to_camera)
        if seen[part].size:
            # Screen px have their origin at the outer corner of the first one, OpenCV's pictures at its middle.
            places = cv2.perspectiveTransform(self._rays[part], to_screen) - np.float32(0.5)
            seen[part] = cv2.remap(
                self._screen,
                np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1]), cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT, borderValue=WALL_GREY,
            )  # fmt: skip
            if self._blur_px > 0:
                seen[part] = cv2.GaussianBlur(seen[part], (0, 0), self._blur_px)
        noise = self._noise[number % NOISE_FRAMES]
        return np.asarray(seen if noise is None else cv2.add(seen, noise, dtype=cv2.CV_8U), np.uint8)

    def _screens_part(self, to_camera: NDArray[np.float64]) -> tuple[slice, slice]:
        """Return rows and columns of the picture outside of which there is nothing but wall."""
        width, height = self._display.width_px, self._display.height_px
        along = np.linspace(0.0, 1.0, EDGE_POINTS)
        x = np.concatenate([along, along, np.zeros_like(along), np.ones_like(along)]) * width
        y = np.concatenate([np.zeros_like(along), np.ones_like(along), along, along]) * height
        rays = to_camera @ np.stack([x, y, np.ones_like(x)])
        edge = [_distorted(a / c, b / c) for a, b, c in rays.T.tolist()]
        low, high = (
            [
                reach(point[axis] for point in edge) * self.matrix[axis, axis] + self.matrix[axis, 2]
                for axis in (0, 1)
            ]
            for reach in (min, max)
        )
        margin = EDGE_MARGIN_PX + 4 * self._blur_px
        columns, rows = (
            slice(max(0, int(low[axis] - margin)), max(0, int(high[axis] + margin) + 1)) for axis in (0, 1)
        )
        return rows, columns

    @functools.cached_property
    def _rays(self) -> NDArray[np.float32]:
        """Direction of each pixel's middle, (height, width, 2): x / z, y / z."""
        import cv2

        y, x = np.mgrid[0 : self.height_px, 0 : self.width_px].astype(np.float64)
        points = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-9)
        rays = cv2.undistortPoints(points, self.matrix, self.distortion, criteria=stop)
        return np.asarray(rays.reshape(self.height_px, self.width_px, 2), np.float32)

    @functools.cached_property
    def _screen(self) -> NDArray[np.uint8]:
        """What the screen shows: its tags, and lines in between, that focus and motion can be seen by.

        Smoothed to what the sensor's pixels gather, since one of them sees several of the screen's.
        """
        import cv2

        display = self._display
        screen = np.full((display.height_px, display.width_px), SCREEN_GREY, np.uint8)
        step = max(display.height_px // 12, 1)
        screen[::step] = 140
        screen[:, ::step] = 140
        draw_tags(
            screen,
            tag_layout(
                display.width_px, display.height_px, width_mm=display.width_mm, height_mm=display.height_mm
            ),
        )
        per_sensor_px = (display.width_px / (display.width_mm or 1.0)) * (
            (display.distance_mm or 1.0) / self.matrix[0, 0]
        )
        return np.asarray(cv2.GaussianBlur(screen, (0, 0), PIXEL_APERTURE_SD * per_sensor_px), np.uint8)


def calibration_bytes(camera: SceneCamera) -> bytes:
    """Return the module's calibration.bin."""
    record = np.zeros(1, CALIBRATION_DTYPE)
    record["version"], record["serial"] = 1, SERIAL.encode()
    for name in ("scene", "right", "left"):
        record[f"{name}_camera_matrix"] = camera.matrix if name == "scene" else np.eye(3)
        record[f"{name}_extrinsics_affine_matrix"] = np.eye(4)
    record["scene_distortion_coefficients"] = camera.distortion
    return record.tobytes()


class H264Encoder:
    """Codes grey pictures; no frame waits for a later one."""

    def __init__(self, width_px: int, height_px: int, rate_hz: float) -> None:
        self._av = import_neon().av
        rate = Fraction(rate_hz).limit_denominator(1000)
        context: Any = self._av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width_px, height_px, "yuv420p"
        context.framerate, context.time_base = rate, 1 / rate
        context.gop_size = max(1, math.ceil(rate_hz))  # a key frame a second
        context.thread_count = 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "26",
            "x264-params": "repeat-headers=1",
        }
        self._context = context
        self._chroma = np.full((height_px // 2, width_px), 128, np.uint8)
        self._number = 0

    def units(self, picture: NDArray[np.uint8]) -> list[bytes]:
        """Return a picture's NAL units, without start codes."""
        frame = self._av.VideoFrame.from_ndarray(np.vstack([picture, self._chroma]), format="yuv420p")
        frame.pts = self._number
        self._number += 1
        coded = b"".join(bytes(packet) for packet in self._context.encode(frame))
        return [
            unit
            for unit in coded.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
            if unit
        ]


def _distorted(x: float, y: float) -> tuple[float, float]:
    """OpenCV's rational distortion of a point of the plane z = 1."""
    k1, k2, p1, p2, k3, k4, k5, k6 = DISTORTION
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )
