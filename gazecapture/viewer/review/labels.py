"""Where the names of boxes go, so that no two of them lie on each other. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

from gazecapture.viewer.model import Rect

__all__ = ["place_labels"]

Size = tuple[float, float]
Point = tuple[float, float]


def place_labels(boxes: Sequence[Rect], sizes: Sequence[Size], *, pad: float = 3.0) -> list[Point | None]:
    """Return the top left corner of each box's label; None where there is no room left for it.

    boxes : in the order in which they may choose; put small ones first, for large ones have more room.
    sizes : (width, height) of the labels.

    A label lies in its box at the top edge where it can, then at the bottom, then as high up between both as it goes.
    One that is wider than its box begins or ends with it; where its box is lower, it lies above or below it.
    """
    taken: list[Rect] = []
    found: list[Point | None] = []
    for box, (width, height) in zip(boxes, sizes, strict=True):
        place = next(
            (
                (x, y)
                for x, y in _candidates(box, width, height, pad)
                if not any(_overlap((x, y, x + width, y + height), other) for other in taken)
            ),
            None,
        )
        found.append(place)
        if place is not None:
            taken.append((*place, place[0] + width, place[1] + height))
    return found


def _candidates(box: Rect, width: float, height: float, pad: float) -> list[Point]:
    left, right = box[0] + pad, box[2] - pad - width
    top, bottom = box[1] + pad, box[3] - pad - height
    if bottom < top:
        rows = [box[1] - pad - height, box[3] + pad]
    else:
        rows = [top, bottom, *(top + k * height for k in range(1, int((bottom - top) // height) + 1))]
    return [(x, y) for y in rows for x in (left, right)]


def _overlap(one: Rect, other: Rect) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
