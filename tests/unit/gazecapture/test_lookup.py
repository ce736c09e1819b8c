"""Look-up tables: the standard's formulas, presets, polarity, the automatic window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecapture.radiograph.lookup import (
    Lut,
    ModalityTransform,
    Tone,
    auto_preset,
    lut_presets,
    to_grey8,
    window_share,
)
from gazecapture.radiograph.presets import Preset
from keyframes.errors import UsageError


def tone(**changes: object) -> Tone:
    values: dict[str, object] = {
        "lowest": 0,
        "highest": 4095,
        "modality": ModalityTransform(),
        "presets": (Preset(preset_id="window:0", name="n", center=2048, width=4096, voi="LINEAR"),),
    }
    return Tone(**{**values, **changes})  # type: ignore[arg-type]


def s_curve() -> Lut:
    entries = (4095 / (1 + np.exp(-(np.arange(1024) - 500) / 60))).astype(np.uint16)
    return Lut(first=200, entries=entries, bits=12)


def test_linear_window_follows_the_standards_own_example() -> None:
    # PS3.3 C.11.2.1.2.1: centre 2048, width 4096 leaves 0 ... 4095 as they are; 0/100 maps [-50, 49] to the ends.
    values = np.array([-51.0, -50.0, 49.0, 50.0])
    assert window_share(values, 0, 100, "LINEAR").tolist() == [0, 0, 1, 1]
    assert window_share(np.array([-0.5]), 0, 100, "LINEAR")[0] == pytest.approx(0.5)
    whole = window_share(np.arange(4096.0), 2048, 4096, "LINEAR")
    np.testing.assert_allclose(whole, np.arange(4096) / 4095, atol=1e-12)


def test_linear_window_of_width_one_is_a_threshold() -> None:
    shares = window_share(np.array([9.0, 9.5, 9.6, 10.0]), 10, 1, "LINEAR")
    assert shares.tolist() == [0, 0, 1, 1]


def test_linear_exact_and_sigmoid() -> None:
    assert window_share(np.array([0.0, 50.0, 100.0]), 50, 100, "LINEAR_EXACT").tolist() == [0, 0.5, 1]
    shares = window_share(np.array([-1e9, 50.0, 75.0, 1e9]), 50, 100, "SIGMOID")
    np.testing.assert_allclose(shares, [0, 0.5, 1 / (1 + np.exp(-1)), 1], atol=1e-12)


def test_halves_round_upwards_whatever_the_noise() -> None:
    exact = np.arange(511) / 510
    assert (to_grey8(exact - 1e-13) == to_grey8(exact + 1e-13)).all()
    assert to_grey8(0.5) == 128


@given(
    center=st.floats(-5000, 9000), width=st.floats(1, 9000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]), inverted=st.booleans(),
)  # fmt: skip
def test_every_window_is_monotone_and_inversion_mirrors_it(
    center: float, width: float, function: str, inverted: bool
) -> None:
    one = tone()
    table = one.lookup(center=center, width=width, voi=function, inverted=inverted).values
    other = one.lookup(center=center, width=width, voi=function, inverted=not inverted).values
    steps = np.diff(table.astype(int))
    assert (steps <= 0).all() if inverted else (steps >= 0).all()
    assert (table.astype(int) + other == 255).all()


def test_signed_values_get_an_offset() -> None:
    table = tone(lowest=-2048, highest=2047).lookup(center=0, width=4096)
    assert table.offset == -2048
    assert table.values.size == 4096
    assert table.values[0] == 0
    assert table.values[-1] == 255


def test_modality_lut_clamps_and_takes_part() -> None:
    lut = Lut(first=10, entries=np.array([5, 7, 9], np.uint16), bits=4)
    values = ModalityTransform(lut=lut).apply([0, 10, 11, 12, 4000])
    assert values.tolist() == [5, 5, 7, 9, 9]
    slope = ModalityTransform(slope=0.5, intercept=-100).apply([0, 300])
    assert slope.tolist() == [-100, 50]


def test_default_is_the_first_preset_and_polarity_is_the_files_own() -> None:
    normal, mono1 = tone(), tone(base_inverted=True)
    assert normal.lookup().values[0] == 0
    assert mono1.lookup().values[0] == 255
    assert mono1.lookup(inverted=False).values[0] == 0
    assert not normal.lookup().values.flags.writeable


def test_lut_preset_is_applied_and_dragging_goes_on_from_its_window() -> None:
    lut = s_curve()
    (preset,) = lut_presets([lut], ["soft"])
    one = tone(voi_luts=(lut,), presets=(preset,))
    by_lut = one.lookup(preset_id="lut:0").values.astype(int)
    also = one.lookup(center=preset.center, width=preset.width, voi="LUT", preset_id="lut:0").values
    assert (by_lut == also).all()
    dragged = one.lookup(center=preset.center, width=preset.width, voi="LINEAR").values.astype(int)
    # No jump: the mean difference of the two pictures stays below what a reader notices as brighter or darker.
    assert np.abs(by_lut - dragged).mean() < 6
    assert abs(preset.center - 700) < 8


@given(first=st.integers(-3000, 3000), n=st.integers(1, 4096), rising=st.booleans())
def test_equivalent_window_of_a_straight_lut_is_its_range(first: int, n: int, rising: bool) -> None:
    entries = np.linspace(0, 65535, n).astype(np.uint16)
    lut = Lut(first=first, entries=entries if rising else entries[::-1], bits=16)
    center, width = lut.equivalent_window()
    assert width >= 1
    if n > 40:
        assert center == pytest.approx(first + n / 2, abs=0.03 * n)
        assert width == pytest.approx(n, rel=0.06)


def test_auto_window_leaves_out_the_border() -> None:
    stored = np.zeros((200, 200), np.uint16)
    stored[50:150, 50:150] = np.linspace(1000, 2000, 10_000).reshape(100, 100)
    preset = auto_preset(stored, tone())
    low, high = preset.center - preset.width / 2, preset.center + preset.width / 2
    assert low == pytest.approx(1005, abs=2)
    assert high == pytest.approx(1996, abs=2)
    shares = window_share(np.array([1005.0, 1995.0]), preset.center, preset.width, "LINEAR")
    np.testing.assert_allclose(shares, [0, 1], atol=2e-3)


@pytest.mark.parametrize("value", [0, 77, 4095])
def test_auto_window_of_a_flat_picture_is_usable(value: int) -> None:
    one = tone()
    preset = auto_preset(np.full((20, 30), value, np.uint16), one)
    assert preset.width > 0
    one.lookup(center=preset.center, width=preset.width, voi=preset.voi)


def test_auto_window_over_a_falling_modality_lut() -> None:
    falling = Lut(first=0, entries=np.arange(4095, -1, -1).astype(np.uint16), bits=12)
    stored = np.tile(np.arange(4096, dtype=np.uint16), (4, 1))
    preset = auto_preset(stored, tone(modality=ModalityTransform(lut=falling)))
    assert preset.center == pytest.approx(2048, abs=2)
    assert preset.width == pytest.approx(0.99 * 4096, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset_id": "window:7"},
        {"center": 1.0, "width": 2.0, "voi": "CUBIC"},
        {"voi": "LUT"},
        {"center": float("nan"), "width": 2.0},
    ],
)
def test_what_the_image_does_not_have_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        tone().lookup(**wrong)  # type: ignore[arg-type]
