"""Lengths and ratios, in what units and with which words."""

from __future__ import annotations

import pytest

from gazecapture.viewer.measures import Line, Measure, MeasuresOfReading, Spacing

IN_PATIENT = Spacing(x_mm=0.2, y_mm=0.1, kind="pixel")
AT_DETECTOR = Spacing(x_mm=0.2, y_mm=0.1, kind="detector")


def line(x0: float, y0: float, x1: float, y1: float, image_index: int = 0) -> Line:
    return Line(image_index=image_index, x0=x0, y0=y0, x1=x1, y1=y1)


def test_a_length_follows_both_spacings_and_names_the_detectors_plane() -> None:
    measure = Measure(measure_id="m", kind="length", lines=(line(10, 10, 40, 90),))
    assert measure.value(IN_PATIENT) == pytest.approx(10.0)  # 30 px of 0.2 mm, 80 px of 0.1 mm
    assert measure.text(IN_PATIENT) == "10.0 mm"
    assert measure.text(AT_DETECTOR) == "10.0 mm (detector plane)"
    assert measure.value(Spacing()) is None
    assert measure.text(Spacing()) == "85 px"


def test_a_ratio_takes_two_lines_of_one_image() -> None:
    measures = MeasuresOfReading(3)
    measures.begin("cardiothoracic")
    heart, whole = measures.add(line(100, 50, 160, 50))
    assert not whole
    assert heart.value(IN_PATIENT) is None
    ratio, whole = measures.add(line(80, 60, 200, 60))
    assert whole
    assert ratio.text(Spacing()) == "CTR 0.50"
    assert [m.measure_id for m in measures.measures] == ["r3-m1"]
    row = ratio.row(5, 3, AT_DETECTOR)
    assert (row["action"], row["rating"], row["box"]) == ("measure", 0.5, [100, 50, 160, 50, 80, 60, 200, 60])
    assert measures.remove_last() == ratio
    assert measures.remove_last() is None


def test_a_ratio_without_its_second_line_is_given_up() -> None:
    measures = MeasuresOfReading(1)
    measures.begin("cardiothoracic")
    measures.add(line(0, 0, 9, 0))
    other, whole = measures.add(line(0, 0, 9, 0, image_index=1))  # another film: the heart's line is dropped
    assert not whole
    assert measures.measures == (other,)
    measures.begin("length")
    assert measures.measures == ()
    assert measures.add(line(0, 0, 9, 0))[1]
