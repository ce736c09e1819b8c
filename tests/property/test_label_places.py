"""Names of boxes never lie on each other, whatever the boxes are, and stay with their box."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.viewer.model import Rect
from gazecapture.viewer.review.labels import place_labels

PAD = 3.0
HEIGHT = 14.0

boxes = st.lists(
    st.builds(
        lambda x, y, w, h: (x, y, x + w, y + h),
        st.floats(0, 900), st.floats(0, 600), st.floats(1, 500), st.floats(1, 400),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=60)
@given(boxes=boxes, widths=st.lists(st.floats(10, 160), min_size=30, max_size=30))
def test_no_two_names_overlap_and_each_touches_the_width_of_its_box(
    boxes: list[Rect], widths: list[float]
) -> None:
    sizes = [(width, HEIGHT) for width in widths[: len(boxes)]]
    places = place_labels(boxes, sizes, pad=PAD)
    placed = [
        (x, y, x + width, y + height)
        for (width, height), place in zip(sizes, places, strict=True)
        if place is not None
        for x, y in [place]
    ]
    for k, one in enumerate(placed):
        for other in placed[:k]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for box, (width, _), place in zip(boxes, sizes, places, strict=True):
        if place is not None:
            assert place[0] == box[0] + PAD or place[0] == box[2] - PAD - width
            assert box[1] - PAD - HEIGHT <= place[1] <= box[3] + PAD


def test_the_first_box_always_has_its_name_and_of_twins_each_has_one() -> None:
    twins = [(0.0, 0.0, 200.0, 100.0)] * 3
    places = place_labels(twins, [(150.0, HEIGHT)] * 3)
    assert places[0] == (PAD, PAD)
    assert len({place for place in places if place is not None}) == 3
