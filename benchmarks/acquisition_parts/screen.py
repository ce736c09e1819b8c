"""Rows of screen mapping: simulated scene video at yaw up to 15 degrees, by each detector, on one core."""

from __future__ import annotations

import json
import time
from typing import Any

import cv2
import numpy as np

from gazecapture.screen.scene_camera import SceneCamera
from gazecapture.screen.scene_map import SceneMap
from gazecapture.screen.tag_detectors import AprilTagDetector, ArucoTagDetector
from gazecapture.screen.tag_tracker import TagTracker
from gazecapture.screen.tags import tag_layout
from gazecapture.session.scene_mapping import import_av, luma
from gazecapture.sources.neon_simulator.camera import H264Encoder
from gazecapture.sources.neon_simulator.camera import SceneCamera as SimulatedCamera
from gazecapture.sources.neon_simulator.options import SCREEN
from gazecapture.sources.neon_simulator.wearer import Wearer

SECONDS, PICTURE_HZ, GAZE_HZ = 17.0, 30.0, 200.0
"""17 s is the period in which the simulated head turns by 15 degrees to both sides."""
TARGET_DEG = 0.1


def main() -> None:
    cv2.setNumThreads(1)
    wearer = Wearer(SCREEN, seed=1)
    simulated = SimulatedCamera(wearer, SCREEN, scale=1.0, noise_sd=2, blur_px=0.8, seed=1)
    camera = SceneCamera(matrix=simulated.matrix, distortion=simulated.distortion)
    tags = tag_layout(SCREEN.width_px, SCREEN.height_px, width_mm=SCREEN.width_mm, height_mm=SCREEN.height_mm)
    picture_s = np.arange(0.0, SECONDS, 1 / PICTURE_HZ)
    video, decode_ms = decoded(simulated, picture_s)
    gaze_s = np.arange(0.0, picture_s[-1], 1 / GAZE_HZ)
    looked = np.array([wearer.gaze_screen_px(t) for t in gaze_s])
    seen = np.array([simulated.project(x, y, t) for (x, y), t in zip(looked, gaze_s, strict=True)])
    gaze_ns = np.round(gaze_s * 1e9).astype(np.int64)
    rows: list[dict[str, Any]] = []
    for name, detector in (("AprilTag", AprilTagDetector()), ("ArUco", ArucoTagDetector())):
        tracker = TagTracker(tags, camera, detector)
        began = time.process_time()
        found = [tracker.next(picture) for picture in video]
        picture_ms = (time.process_time() - began) / len(video) * 1e3
        scene = SceneMap.build(np.round(picture_s * 1e9).astype(np.int64), found, camera)
        began = time.process_time()
        x, y = scene.to_screen(gaze_ns, seen[:, 0], seen[:, 1])
        sample_us = (time.process_time() - began) / gaze_s.size * 1e6
        error_deg = np.hypot(x - looked[:, 0], y - looked[:, 1]) / SCREEN.px_per_deg()[0]
        median, p95 = np.nanpercentile(error_deg, [50, 95])
        # In each second 30 pictures are decoded and searched and 200 samples mapped.
        share = (PICTURE_HZ * (decode_ms + picture_ms) + GAZE_HZ * sample_us / 1e3) / 1e3
        rows += [
            row(f"mapping by {name}: median error, deg", median, f"<= {TARGET_DEG}", bool(median <= TARGET_DEG)),
            row(f"mapping by {name}: p95 error, deg", p95),
            row(f"mapping by {name}: samples mapped, share", np.isfinite(error_deg).mean()),
            row(f"mapping by {name}: CPU ms per picture, decoding {decode_ms:.1f} ms beside it", picture_ms),
            row(f"mapping by {name}: one core, share used by 30 pictures and 200 samples a second", share, "<= 1",
                bool(share <= 1)),
        ]  # fmt: skip
    print(json.dumps(rows))


def decoded(camera: SimulatedCamera, picture_s: np.ndarray[Any, Any]) -> tuple[list[Any], float]:
    """Return the pictures as they come out of the video, and the CPU ms that decoding one takes."""
    encoder = H264Encoder(camera.width_px, camera.height_px, PICTURE_HZ)
    coded = [
        b"".join(b"\x00\x00\x00\x01" + unit for unit in encoder.units(camera.picture(t, n)))
        for n, t in enumerate(picture_s.tolist())
    ]
    av = import_av()
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    pictures, took = [], 0.0
    for data in coded:
        began = time.process_time()
        frames = decoder.decode(av.Packet(data))
        took += time.process_time() - began
        pictures += [luma(frame) for frame in frames]
    pictures += [luma(frame) for frame in decoder.decode(None)]
    if len(pictures) != len(coded):
        raise SystemExit(f"{len(coded)} pictures were coded, {len(pictures)} came back")
    return pictures, took / len(coded) * 1e3


def row(measure: str, value: float, target: str = "-", met: bool | None = None) -> dict[str, Any]:
    return {"measure": measure, "target": target, "measured": float(f"{value:.4g}"), "met": met}


if __name__ == "__main__":
    main()
