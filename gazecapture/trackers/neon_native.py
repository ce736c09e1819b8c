"""Pupil Labs Neon: the time-series export of Pupil Cloud, and the native recording of the phone.

Sources: vendor documentation of both formats; the layout that pupil-labs-neon-recording 2.1 reads. Gaze is in px of
the scene camera and needs a mapping to the screen; times are ns since 1970.

Cloud:  gaze.csv; where they are there 3d_eye_states.csv (pupils), events.csv, fixations.csv, saccades.csv, blinks.csv.
Native: gaze ps{n}.raw + .time, or gaze_200hz.raw + .time, which is computed afterwards and wins; where they are there
        gaze_left, gaze_right, worn, eye_state, fixations, blinks ps{n}.raw, {name}.dtype, event.txt + .time.

Not read: videos, IMU, audio, the camera's calibration, and everything in info.json and wearer.json.
"""

from __future__ import annotations

from pathlib import Path

from gazecapture.trackers import neon_cloud, neon_raw
from gazecapture.trackers.issues import IssueLog, refuse
from gazecapture.trackers.recording import TrackerRecording
from keyframes.geometry import Display

__all__ = ["NEON"]

MAX_RECORDINGS = 1000
"""Sub-folders that are looked at; a project's export has tens."""


class _Neon:
    """See `gazecapture.trackers.recording.TrackerFile`."""

    format = "neon"

    def fits(self, path: Path) -> bool:
        """Say whether the folder is a recording, or holds some."""
        return bool(self._folders(path))

    def read(
        self, path: Path, *, display: Display | None = None, tolerant: bool = False
    ) -> tuple[TrackerRecording, ...]:
        """Read the recording, or every recording of an export's folder; ``display`` is not needed."""
        folders = self._folders(path)
        if not folders:
            raise refuse(
                path,
                "the folder is no Neon recording: it has neither gaze.csv nor gaze ps1.raw",
                hint="Give the folder with gaze.csv of a Timeseries export, or the native recording's folder.",
            )
        found = []
        for folder in folders:
            log = IssueLog(folder, tolerant=tolerant)
            reader = neon_cloud if neon_cloud.is_export(folder) else neon_raw
            found.append(reader.read(folder, log))
        return tuple(found)

    @staticmethod
    def _folders(path: Path) -> list[Path]:
        if not path.is_dir():
            return []
        inside = sorted(child for child in path.iterdir() if child.is_dir())[:MAX_RECORDINGS]
        return [p for p in (path, *inside) if neon_cloud.is_export(p) or neon_raw.is_recording(p)][
            :MAX_RECORDINGS
        ]


NEON = _Neon()
