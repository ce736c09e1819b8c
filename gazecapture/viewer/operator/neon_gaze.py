"""A Neon's gaze on the screen while it is recorded, for the operator: a connection of its own to the phone. No Qt.

The recorder's files hold gaze in the scene camera's picture, and a video that is written in pieces of a second; where
the screen was in it is known sooner from the phone itself.
"""

from __future__ import annotations

import threading
from pathlib import Path

from gazecapture.screen.measures import EyeSamples
from gazecapture.session.profiles import session_profiles
from gazecapture.session.scene_mapping import import_av
from gazecapture.session.schema import SessionInfo
from gazecapture.sources.neon_options import NeonChoice
from gazecapture.viewer.live_gaze import LiveGaze, live_neon
from keyframes.errors import GazeToolError

__all__ = ["NeonGaze"]

RETRY_S = 2.0
"""s between two tries to connect; a phone that is out of reach needs longer to come back."""
LONGEST_WAIT_NS = 3_000_000_000
"""ns that gaze waits for its picture: on a computer that falls behind, late gaze tells an operator more than none."""
LOOK_S = 0.2
"""s between two looks whether the connection still lives."""


class NeonGaze:
    """Connects in a thread of its own, again and again where it has to; `take` never waits.

    Parameters
    ----------
    info : knows the tags on the screen.
    """

    def __init__(self, session: Path, neon: NeonChoice, info: SessionInfo) -> None:
        self._session, self._neon, self._info = session, neon, info
        self._end = threading.Event()
        self._gaze: LiveGaze | None = None
        self.trouble = "connecting to the Neon"
        """Why nothing comes; empty while all is well."""
        self._thread = threading.Thread(target=self._run, name="operator-neon", daemon=True)
        self._thread.start()

    def take(self) -> EyeSamples:
        """Return what came since the last call."""
        gaze = self._gaze
        return EyeSamples.join([]) if gaze is None else gaze.take()

    def close(self) -> None:
        """End; waits for a connection that is being made."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                import_av()  # the video's own thread could not say that it is missing
                source, scene = live_neon(self._session, self._neon, self._info.tags)
                gaze = LiveGaze(
                    source,
                    self._info.display,
                    own_profiles=session_profiles(self._session),
                    scene=scene,
                    longest_wait_ns=LONGEST_WAIT_NS,
                )
                gaze.start()
            except GazeToolError as error:
                self.trouble = error.one_line()
                self._end.wait(RETRY_S)
                continue
            self._gaze, self.trouble = gaze, ""
            while not gaze.trouble and not self._end.wait(LOOK_S):
                pass
            self.trouble = gaze.trouble
            gaze.close()
