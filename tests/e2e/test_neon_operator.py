"""An operator sees a simulated Neon's gaze on the screen while it is recorded, by a connection of the feed's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from gazecapture.files import claim_output_folder
from gazecapture.screen.tags import tag_layout
from gazecapture.session.recorder import record_session
from gazecapture.session.schema import SessionInfo, write_session_info
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonChoice, NeonOptions
from gazecapture.sources.neon_simulator import SimulatedNeon, SimulatorOptions
from gazecapture.viewer.operator.feed import News, SessionFeed
from tests.waiting import stopped_when

OPTIONS = SimulatorOptions(video_scale=0.5, video_rate_hz=10.0, imu=False, eye_events=False)
"""Small pictures, and few: a busy machine still keeps up with them."""
SCREEN = OPTIONS.display
N_SEEN = 200


def test_gaze_is_on_the_screen_while_it_is_recorded(tmp_path: Path) -> None:
    session, truth_file = tmp_path / "session", tmp_path / "truth.parquet"
    claim_output_folder(session, kind="session")
    tags = tag_layout(SCREEN.width_px, SCREEN.height_px, width_mm=SCREEN.width_mm, height_mm=SCREEN.height_mm)
    info = SessionInfo(
        session_id="s", reader_code="R1", created_unix_ns=1, tool_version="0", display=SCREEN, tags=tags
    )
    write_session_info(session, info)
    news: list[News] = []
    with SimulatedNeon(OPTIONS) as phone:
        neon = NeonChoice(host=phone.host, port=phone.port, options=NeonOptions())
        feed = SessionFeed(session, neon=neon)

        def is_seen() -> bool:
            news.append(feed.look())
            return sum(int(np.isfinite(one.x_screen_px).sum()) for one in news) >= N_SEEN

        source = NeonSource(neon.host, neon.port, session=session)
        with stopped_when(session, is_seen):
            record_session(session, connect=lambda: [source])
        feed.close()
        phone.write_truth(truth_file)
    t_ns, x, y = (
        np.concatenate([getattr(one, name) for one in news])
        for name in ("t_ns", "x_screen_px", "y_screen_px")
    )
    seen = np.isfinite(x)
    truth = pq.read_table(truth_file).sort_by("t_session_s")
    truth = truth.filter([sensor == "gaze" for sensor in truth["sensor"].to_pylist()])
    taken_s, x_truth, y_truth = (
        truth[name].to_numpy(zero_copy_only=False) for name in ("t_session_s", "x_screen_px", "y_screen_px")
    )
    nearest = np.clip(np.searchsorted(taken_s, t_ns[seen] / 1e9 - 0.0025), 0, taken_s.size - 1)
    # Far less than the screen is wide: where gaze of the wrong time or of an unmapped picture would be.
    error_px = np.hypot(x[seen] - x_truth[nearest], y[seen] - y_truth[nearest])
    assert np.median(error_px) / SCREEN.px_per_deg()[0] <= 0.5
    assert news[-1].trouble == ""
    without = SessionFeed(session).look()
    assert without.t_ns.size == 0
    assert "--neon HOST" in without.trouble
