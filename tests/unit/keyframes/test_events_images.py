"""Events on images: through zooms and pans, across viewports, off every image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from keyframes.errors import DataError, SchemaError
from keyframes.events import Events, detect, on_images
from keyframes.reading import EVENTS, GAZE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RATE_HZ, PX_PER_DEG = 500.0, 40.0


def gaze_table(
    t_s: FloatArray, x: FloatArray, y: FloatArray, image: IntArray, x_image: FloatArray, y_image: FloatArray
) -> pa.Table:
    """Return a GAZE table; ``image`` -1 is null. Columns that events do not need are blank."""
    n, on = t_s.size, image >= 0
    columns: dict[str, pa.Array] = {
        "t_ns": pa.array(np.rint(t_s * 1e9).astype(np.int64)),
        "x_screen_px": pa.array(x),
        "y_screen_px": pa.array(y),
        "x_image_px": pa.array(np.where(on, x_image, np.nan)),
        "y_image_px": pa.array(np.where(on, y_image, np.nan)),
        "valid": pa.array(np.isfinite(x)),
        "image_index": pa.array(image.astype(np.int16), mask=~on),
    }
    for field in GAZE:
        if field.name not in columns:
            if field.nullable:
                columns[field.name] = pa.nulls(n, field.type)
            else:
                blank = "" if field.type == pa.string() else np.nan
                columns[field.name] = pa.array([blank] * n, field.type)
    return pa.table([columns[name] for name in GAZE.names], schema=GAZE)


def recording(points: list[float], rest_s: float = 0.4) -> tuple[FloatArray, FloatArray, FloatArray, Events]:
    """Return time, screen px and the events of fixations at these x, joined by 30 ms saccades."""
    phase = np.arange(1, 15) / 15
    curve = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
    parts = [np.full(round(rest_s * RATE_HZ), points[0])]
    for i, point in enumerate(points[1:]):
        parts += [points[i] + (point - points[i]) * curve, np.full(round(rest_s * RATE_HZ), point)]
    rng = np.random.default_rng(2)
    x = np.concatenate(parts)
    x = x + rng.normal(0, 0.5, x.size)
    y = 300.0 + rng.normal(0, 0.5, x.size)
    t = np.arange(x.size) / RATE_HZ
    return t, x, y, detect(t, x, y, PX_PER_DEG, PX_PER_DEG)


def placed(events: Events, gaze: pa.Table) -> pd.DataFrame:
    table = on_images(events, gaze)
    assert table.schema == EVENTS
    found: pd.DataFrame = table.to_pandas()
    assert found.event_index.tolist() == list(range(len(found)))
    assert (found.t_start_ns.to_numpy()[1:] >= found.t_end_ns.to_numpy()[:-1]).all()
    return found


def test_positions_are_means_of_the_samples_in_image_px() -> None:
    t, x, y, events = recording([400.0, 800.0])
    found = placed(events, gaze_table(t, x, y, np.zeros(t.size, np.int64), 2 * x + 10, 3 * y))
    assert found.kind.tolist() == ["fixation", "saccade", "fixation"]
    assert found.image_index.tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.x_image_px, 2 * found.x_screen_px + 10)
    np.testing.assert_allclose(found.y_image_px, 3 * found.y_screen_px)
    expected = events.table.to_pandas()
    kept = [name for name in EVENTS.names if name not in ("x_image_px", "y_image_px", "image_index")]
    pd.testing.assert_frame_equal(found[kept], expected[kept])


def test_a_zoom_or_pan_during_a_fixation_neither_starts_nor_ends_it() -> None:
    t, x, y, events = recording([500.0])
    zoomed = t >= 0.2
    x_image = np.where(zoomed, 0.5 * x + 300, x)
    found = placed(events, gaze_table(t, x, y, np.zeros(t.size, np.int64), x_image, y))
    assert found.kind.tolist() == ["fixation"]
    assert found.x_image_px[0] == pytest.approx(x_image.mean())


def test_a_fixation_is_split_where_its_image_changes() -> None:
    t, x, y, events = recording([500.0, 900.0])
    shown = (t >= 0.15).astype(np.int64)  # the viewport shows the next image after 150 ms
    found = placed(events, gaze_table(t, x, y, shown, x + 1000 * shown, y))
    assert found.kind.tolist() == ["fixation", "fixation", "saccade", "fixation"]
    assert found.image_index.tolist() == [0, 1, 1, 1]
    assert found.t_end_ns[0] == found.t_start_ns[1] == 150_000_000
    first = t < 0.15
    assert found.duration_s[0] == pytest.approx(0.15)
    assert found.x_image_px[0] == pytest.approx(x[first].mean())
    assert found.x_screen_px[0] == pytest.approx(x[first].mean())
    own = slice(75, round(found.t_end_ns[1] / 2e6))
    assert found.x_image_px[1] == pytest.approx((x[own] + 1000).mean())
    assert found.rms_s2s_deg[1] == pytest.approx(events.table.to_pandas().rms_s2s_deg[0], rel=0.2)


def test_a_part_off_every_image_has_no_position() -> None:
    t, x, y, events = recording([500.0])
    shown = np.where(t < 0.2, 0, -1)
    found = placed(events, gaze_table(t, x, y, shown, x, y))
    assert found.image_index.isna().tolist() == [False, True]
    assert found.x_image_px.isna().tolist() == [False, True]
    assert np.isfinite(found.x_screen_px).all()


def test_flicker_at_an_edge_does_not_shred_a_fixation() -> None:
    t, x, y, events = recording([500.0])
    shown = np.where(np.random.default_rng(3).random(t.size) < 0.7, 0, 1)
    found = placed(events, gaze_table(t, x, y, shown, x, y))
    assert found.kind.tolist() == ["fixation"]
    assert found.image_index.tolist() == [0]
    assert found.x_image_px[0] == pytest.approx(x[shown == 0].mean())


def test_a_change_that_leaves_a_stub_keeps_the_fixation_whole() -> None:
    t, x, y, events = recording([500.0])
    shown = (t >= 0.38).astype(np.int64)
    found = placed(events, gaze_table(t, x, y, shown, x, y))
    assert found.image_index.tolist() == [0]


def test_lost_samples_do_not_vote_or_split() -> None:
    t, x, y, _ = recording([500.0])
    x = x.copy()
    x[100:120] = np.nan
    events = detect(t, x, y, PX_PER_DEG, PX_PER_DEG)
    shown = np.where(np.isfinite(x), 2, -1)
    found = placed(events, gaze_table(t, x, y, shown, x, y))
    assert found.kind.tolist() == ["fixation"]
    assert found.image_index.tolist() == [2]
    assert found.x_image_px[0] == pytest.approx(np.nanmean(x))


def test_blinks_and_losses_have_no_image() -> None:
    t, x, y, _ = recording([500.0, 500.0])
    x = x.copy()
    x[100:150] = np.nan
    events = detect(t, x, y, PX_PER_DEG, PX_PER_DEG)
    found = placed(events, gaze_table(t, x, y, np.where(np.isfinite(x), 0, -1), x, y))
    assert found.kind.tolist() == ["fixation", "blink", "fixation"]
    assert found.image_index.isna().tolist() == [False, True, False]


def test_a_saccade_between_viewports_is_whole_and_on_one_image() -> None:
    t, x, y, events = recording([500.0, 1500.0])
    shown = (x > 800).astype(np.int64)
    found = placed(events, gaze_table(t, x, y, shown, x, y))
    assert found.kind.tolist() == ["fixation", "saccade", "fixation"]
    assert found.image_index[0] == 0
    assert found.image_index[2] == 1
    own = x[round(found.t_start_ns[1] / 2e6) : round(found.t_end_ns[1] / 2e6)]
    assert found.x_image_px[1] == pytest.approx(own[(own > 800) == (found.image_index[1] == 1)].mean())


def test_equal_times_and_holes_keep_samples_and_events_together() -> None:
    t, x, y, _ = recording([500.0, 900.0])
    keep = (t < 0.2) | (t > 0.29)
    t, x, y = np.repeat(t[keep], 2), np.repeat(x[keep], 2), np.repeat(y[keep], 2)
    events = detect(t, x, y, PX_PER_DEG, PX_PER_DEG)
    found = placed(events, gaze_table(t, x, y, np.zeros(t.size, np.int64), x + 7, y))
    fixations = found[found.kind == "fixation"]
    np.testing.assert_allclose(fixations.x_image_px, fixations.x_screen_px + 7)


def test_a_source_without_a_screen_has_no_screen_columns() -> None:
    t, x, y, events = recording([500.0, 900.0])
    nowhere = np.full(t.size, np.nan)
    found = placed(events, gaze_table(t, nowhere, nowhere, np.zeros(t.size, np.int64), x, y))
    assert found.x_screen_px.isna().all()
    assert found.x_start_screen_px.isna().all()
    assert found.x_image_px[0] == pytest.approx(500, abs=1)


def test_nothing_gives_an_empty_table() -> None:
    none = np.empty(0)
    events = detect(none, none, none, PX_PER_DEG, PX_PER_DEG)
    table = on_images(events, gaze_table(none, none, none, np.empty(0, np.int64), none, none))
    assert table.num_rows == 0
    assert table.schema == EVENTS


def test_another_gaze_table_is_refused() -> None:
    t, x, y, events = recording([500.0])
    gaze = gaze_table(t, x, y, np.zeros(t.size, np.int64), x, y)
    with pytest.raises(DataError, match="199 rows"):
        on_images(events, gaze.slice(1))
    with pytest.raises(SchemaError, match="x_image_px"):
        on_images(events, gaze.drop_columns(["x_image_px"]))
