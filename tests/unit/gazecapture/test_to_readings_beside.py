"""Pauses, practice, repeats and addenda: what is beside plain reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gazecapture.session.pauses import PAUSE_SEAM_NS
from gazecapture.session.removal import remove_reading
from gazecapture.session.schema import (
    SessionInfo,
)
from gazecapture.session.xdf_export import without_identifiers
from tests.hand_made_session import RATE_HZ, S, cut, display_row, good, make_session, study


def test_a_pause_is_no_time_and_practice_is_no_reading(tmp_path: Path) -> None:
    rows = [
        display_row(1, event, t * S, viewport)
        for event, t in (("on", 10), ("pause", 11), ("resume", 12), ("off", 14))
        for viewport in (0, 1)
    ]
    for row in rows:
        if row["event"] == "pause":
            row |= {"image_index": None, "affine": None, "viewport_rect": None}
    rows += [display_row(2, event, t * S, 0) for event, t in (("on", 15), ("off", 16))]
    studies = (study(1), replace(study(2, 1), practice=True))
    (reading,) = good(cut(make_session(tmp_path / "s", studies=studies, display=rows)))
    assert reading.meta.duration_ns == 3 * S + PAUSE_SEAM_NS
    assert reading.meta.provenance["paused_ms"] == "800"
    gaze = reading.to_pandas("gaze")
    gaps = gaze["t_ns"].diff().dropna()
    assert gaps.max() == PAUSE_SEAM_NS + S // RATE_HZ  # no detector bridges that
    assert (gaps == S // RATE_HZ).sum() == len(gaps) - 1
    assert len(gaze) == 350  # half a second before, three seconds of reading
    assert reading.meta.n_samples_expected == len(gaze)
    assert reading.table("display")["t_ns"].to_pylist() == sorted(
        [0, S, S + PAUSE_SEAM_NS, 3 * S + PAUSE_SEAM_NS] * 2
    )
    after = gaze[gaze["t_ns"] > S + PAUSE_SEAM_NS]
    assert after["image_index"].notna().all()
    # Said at 13.5 s, a second and a half after the pause.
    assert reading.to_pandas("words").set_index("word")["t_start_ns"]["between"] == 5 * S // 2 + PAUSE_SEAM_NS
    marked = reading.to_pandas("findings").set_index("finding_id")["t_ns"]
    assert marked["f1"] == S


def test_an_addendum_and_a_repeat_name_the_first_reading(tmp_path: Path) -> None:
    studies = (study(1), replace(study(1), reading_number=2, addendum_of=1))
    first, addendum = good(cut(make_session(tmp_path / "a", studies=studies)))
    assert first.meta.repeat_of == ""
    assert addendum.meta.repeat_of == first.meta.reading_id == addendum.meta.provenance["addendum_of"]
    studies = (study(1), replace(study(2), repeat_of="S1"))
    first, second = good(cut(make_session(tmp_path / "r", studies=studies)))
    assert second.meta.repeat_of == first.meta.reading_id
    assert "addendum_of" not in second.meta.provenance


def test_an_addendum_can_be_taken_out_by_itself_and_no_study_is_named_in_xdf(tmp_path: Path) -> None:
    again = replace(study(1), reading_number=2, addendum_of=1)
    session = make_session(tmp_path / "s", studies=(study(1), again))
    (session / "worklist.json").write_text('{"fingerprint": "x", "studies": ["S1"]}')
    remove_reading(session, 2)
    (left,) = good(cut(session))
    assert left.meta.reading_number == 1
    assert "S1" in (session / "worklist.json").read_text()
    repeat = replace(study(2), study_id="CANARY-2", repeat_of="CANARY-1")
    named = SessionInfo(
        session_id="s", reader_code="R1", created_unix_ns=1, tool_version="0",
        studies=(replace(study(1), study_id="CANARY-1"), repeat),
    )  # fmt: skip
    plain = without_identifiers(named)
    assert "CANARY" not in repr(plain)
    assert plain.studies[1].repeat_of == plain.studies[0].study_id
