"""The radiograph of a moment: as the reader had it on the screen, or whole, with what gaze made of it drawn over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QTransform
from PyQt6.QtWidgets import QWidget

from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.viewer.model import Rect, ViewportState
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.film_painter import FilmPainter, box_on, label, xywh
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.render import Picture
from gazecapture.viewer.review.book import Box
from gazecapture.viewer.review.labels import place_labels
from gazecapture.viewer.review.model import RegionBox, ReviewModel
from gazecapture.viewer.review.shown import Placement, state_of_row, whole_image
from keyframes.errors import GeometryError
from keyframes.heatmap import SIGMA_DEG, dwell_map, log_normalised

__all__ = ["FilmView", "heat_image"]

RADIUS_PER_ROOT_S = 22.0
"""Logical px of a fixation of 1 s; areas go by duration."""
NUMBERED = 12
"""Fixations of the scanpath that bear their number, the last ones: more of them cannot be read where they crowd."""
HANDLE_PX = 7.0
"""Logical px around a box's edge in which a drag moves that edge."""
DEFAULT_PRESET = Preset(preset_id="auto", name="", center=0.5, width=1.0, voi="LINEAR")
"""Of an image whose picture is not at hand."""


class FilmView(QWidget):
    """Paints a `ReviewModel`'s moment."""

    box_dragged = pyqtSignal(tuple, bool)
    """The selected box as it is dragged, or one that is drawn, in image px; whether it is a new one."""
    region_clicked = pyqtSignal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.model: ReviewModel | None = None
        self._pictures: Mapping[int, Picture] = {}
        self._painter = FilmPainter({})
        self._heat: dict[int, QImage] = {}
        self._shown: list[ViewportState] = []
        self._drag: tuple[str, QPointF, Box] | None = None

    def show_reading(self, model: ReviewModel | None, pictures: Mapping[int, Picture]) -> None:
        """Show another reading, or none."""
        self.model, self._pictures = model, pictures
        self._painter, self._heat, self._drag = FilmPainter(pictures), {}, None
        self.update()

    # Painting

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint films, then layers."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.SURROUND)
        self._shown = []
        if self.model is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._shown = self._states(self.model)
            for state in self._shown:
                self._painter.paint(painter, state, self.devicePixelRatioF())
            for state in self._shown:
                painter.setClipRect(QRectF(*xywh(state.rect)))
                self._paint_layers(painter, self.model, state)
            painter.setClipping(False)
            self._paint_screen_gaze(painter, self.model)
        painter.end()

    def _states(self, model: ReviewModel) -> list[ViewportState]:
        room: Rect = (0.0, 0.0, float(self.width()), float(self.height()))
        display = model.moment.display
        place = self._placement(model, room)
        try:
            states = [state_of_row(row, self._view(row["image_index"]), place) for row in display]
        except GeometryError:
            states = []  # a source whose films were not shown as this viewer shows them
        if model.as_it_was and model.mode == "look" and states:
            return states
        if model.image_index not in model.sizes:
            return []
        like = next((state for state in states if state.image.image_index == model.image_index), None)
        return [whole_image(self._view(model.image_index), room, like=like)]

    def _placement(self, model: ReviewModel, room: Rect) -> Placement:
        """Put what the viewports covered together as large as it goes; surround of the screen is left out."""
        rects = [row["viewport_rect"] or row["dest_rect"] for row in model.timeline.display_at(model.t_ns)]
        if not rects:
            return Placement(scale=1.0, x=0.0, y=0.0)
        whole = tuple(f(r[side] for r in rects) for side, f in enumerate((min, min, max, max)))
        return Placement.fitting(whole, room)

    def _view(self, image_index: int) -> ImageView:
        if image_index in self._pictures:
            return self._pictures[image_index].view
        width, height = self.model.sizes[image_index] if self.model is not None else (1, 1)
        return ImageView(image_index=image_index, width_px=width, height_px=height, presets=(DEFAULT_PRESET,))

    def _paint_layers(self, painter: QPainter, model: ReviewModel, state: ViewportState) -> None:
        index = state.image.image_index
        if "heat" in model.layers and model.mode == "look":
            self._paint_heat(painter, model, state)
        if "regions" in model.layers and model.mode != "text":
            self._paint_regions(painter, model, state)
        if model.mode == "text" and index == model.image_index:
            self._paint_masks(painter, model, state)
        if model.mode != "look":
            return
        if "keyframes" in model.layers:
            for k in model.moment.keyframes:
                row = model.timeline.keyframes[k]
                if row["image_index"] == index and row["box"] is not None:
                    painter.setPen(QPen(palette.KEYFRAME, 1.4))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawRect(box_on(state, tuple(row["box"])))
        if "scanpath" in model.layers or "fixations" in model.layers:
            self._paint_fixations(painter, model, state)
        if "gaze" in model.layers:
            self._paint_trail(painter, model, state)

    def _paint_heat(self, painter: QPainter, model: ReviewModel, state: ViewportState) -> None:
        index = state.image.image_index
        if index not in self._heat:
            self._heat[index] = heat_image(model, index)
        painter.save()
        a, b, c, d, e, f = state.image_to_screen().coefficients
        painter.setTransform(QTransform(a, d, b, e, c, f), combine=True)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(0.0, 0.0, state.image.width_px, state.image.height_px), self._heat[index])
        painter.restore()

    def _paint_regions(self, painter: QPainter, model: ReviewModel, state: ViewportState) -> None:
        if state.image.image_index != model.image_index:
            return
        is_look, letter = model.mode == "look", model.moment.letter
        chosen = model.selected_region if model.mode == "regions" else None
        name = "" if chosen is None else chosen.name
        drawn = [
            region
            for region in model.regions
            if (region.letter == letter if is_look else region.name == name or not region.is_absent)
        ]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for region in drawn:
            painter.setOpacity(1.0 if is_look or region.name == name else 0.45)
            style = Qt.PenStyle.DotLine if region.is_absent else Qt.PenStyle.SolidLine
            painter.setPen(QPen(_region_colour(region, name), 2.0 if region.name == name else 1.0, style))
            painter.drawRect(box_on(state, region.box))
        painter.setOpacity(1.0)
        # The one that is moved has its name whatever else has; else the smallest, which have least room, come first.
        self._paint_names(
            painter, state, drawn[::-1] if is_look else [r for r in drawn if r.name == name], name
        )

    def _paint_names(
        self, painter: QPainter, state: ViewportState, regions: list[RegionBox], chosen: str
    ) -> None:
        painter.setFont(theme.font(11))
        metrics = painter.fontMetrics()
        texts = [one.name + (" (not on the image)" if one.is_absent else "") for one in regions]
        boxes = [box_on(state, one.box) for one in regions]
        sizes = [(metrics.horizontalAdvance(text) + 2.0, float(metrics.height())) for text in texts]
        places = place_labels([(b.left(), b.top(), b.right(), b.bottom()) for b in boxes], sizes)
        for region, text, box, place in zip(regions, texts, boxes, places, strict=True):
            if place is None and region.name != chosen:
                continue
            x, y = (box.left() + 3.0, box.top() + 3.0) if place is None else place
            label(painter, QPointF(x, y + metrics.ascent()), text, _region_colour(region, chosen))

    def _paint_masks(self, painter: QPainter, model: ReviewModel, state: ViewportState) -> None:
        for place, box in enumerate(model.boxes):
            rect = box_on(state, box)
            is_selected = place == model.selected_box % len(model.boxes)
            fill = palette.MASK.darker(300)
            fill.setAlpha(120)
            painter.setBrush(fill)
            painter.setPen(
                QPen(palette.SELECTED if is_selected else palette.MASK, 2.0 if is_selected else 1.0)
            )
            painter.drawRect(rect)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_fixations(self, painter: QPainter, model: ReviewModel, state: ViewportState) -> None:
        looks = model.timeline.looks_until(model.t_ns, state.image.image_index)
        fixations = model.timeline.fixations
        to_screen = state.image_to_screen()
        xs, ys = to_screen.apply(fixations.x_image_px[looks], fixations.y_image_px[looks])
        points = [QPointF(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        if "scanpath" in model.layers and len(points) > 1:
            line = QPen(theme.TEXT, 1.0)
            painter.setOpacity(0.5)
            painter.setPen(line)
            painter.drawPolyline(QPolygonF(points))
            painter.setOpacity(1.0)
        now = model.moment.fixation
        painter.setFont(theme.font(10))
        for place, (k, point) in enumerate(zip(looks, points, strict=True)):
            radius = RADIUS_PER_ROOT_S * float(fixations.duration_s[k]) ** 0.5
            is_now = now is not None and k == now
            fill = palette.SELECTED if is_now else palette.GAZE
            fill = type(fill)(fill)
            fill.setAlpha(150 if is_now else 60)
            painter.setBrush(fill)
            painter.setPen(QPen(palette.SELECTED if is_now else palette.GAZE, 1.2))
            painter.drawEllipse(point, radius, radius)
            if "scanpath" in model.layers and place >= len(points) - NUMBERED:
                label(painter, point + QPointF(-4.0, 4.0), str(place + 1), theme.TEXT)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_trail(self, painter: QPainter, model: ReviewModel, state: ViewportState) -> None:
        """Draw the last gaze samples on the image, the newest brightest."""
        timeline, trail = model.timeline, model.moment.trail
        own = timeline.image_index[trail] == state.image.image_index
        xs, ys = state.image_to_screen().apply(
            timeline.x_image_px[trail][own], timeline.y_image_px[trail][own]
        )
        good = np.isfinite(xs) & np.isfinite(ys)
        xs, ys = xs[good], ys[good]
        if not xs.size:
            return
        pen = QPen(palette.GAZE, 1.6)
        painter.setPen(pen)
        n = xs.size
        for k in range(1, n):
            painter.setOpacity(0.15 + 0.85 * k / n)
            painter.drawLine(QPointF(xs[k - 1], ys[k - 1]), QPointF(xs[k], ys[k]))
        painter.setOpacity(1.0)
        if not (own[-1] and good[-1]):
            return  # gaze has gone on to another image, or is lost
        painter.setPen(QPen(theme.SURROUND, 1.0))
        painter.setBrush(palette.GAZE)
        painter.drawEllipse(QPointF(xs[-1], ys[-1]), 4.5, 4.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_screen_gaze(self, painter: QPainter, model: ReviewModel) -> None:
        """Say where there is no gaze now, so that an empty film is not taken for one that nobody looked at."""
        moment = model.moment
        lost = [g for g in model.timeline.gaps if g.t_start_ns <= moment.t_ns < g.t_end_ns]
        if lost and model.mode == "look":
            painter.setFont(theme.font(13))
            label(painter, QPointF(16.0, self.height() - 16.0), "no gaze here", theme.NOTICE)

    # The mouse

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Begin to move, resize or draw a box; in other modes select nothing."""
        model = self.model
        if event is None or model is None or model.mode == "look" or not self._shown:
            return
        point = event.position()
        box = model.current_box
        part = "" if box is None else self._part_at(box, point)
        if not part and model.mode == "regions":
            name = self._region_at(model, point)
            if name:
                self.region_clicked.emit(name)
                box = model.current_box
                part = "all"
        x, y = self._to_image(point)
        if part and box is not None:
            self._drag = (part, QPointF(x, y), box)
        elif model.mode == "text":
            self._drag = ("new", QPointF(x, y), (x, y, x, y))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Go on with it."""
        if event is None or self._drag is None or self.model is None:
            return
        part, start, box = self._drag
        x, y = self._to_image(event.position())
        if part == "new":
            if abs(x - start.x()) > 2 and abs(y - start.y()) > 2:
                first = (start.x(), start.y(), x, y)
                self._drag = ("se", QPointF(x, y), first)
                self.box_dragged.emit(first, True)
            return
        self.box_dragged.emit(_dragged(box, part, x - start.x(), y - start.y()), False)

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """End it; the box is decided by Enter."""
        self._drag = None

    def _part_at(self, box: Box, point: QPointF) -> str:
        """Return which part of a box a point takes hold of: edges as n, s, e, w, ``all`` inside, or nothing."""
        rect = box_on(self._shown[0], box)
        if not rect.adjusted(-HANDLE_PX, -HANDLE_PX, HANDLE_PX, HANDLE_PX).contains(point):
            return ""
        near = {
            "n": abs(point.y() - rect.top()), "s": abs(point.y() - rect.bottom()),
            "w": abs(point.x() - rect.left()), "e": abs(point.x() - rect.right()),
        }  # fmt: skip
        part = "".join(side for side, away in near.items() if away <= HANDLE_PX)
        return part or "all"

    def _region_at(self, model: ReviewModel, point: QPointF) -> str:
        """Return the smallest region under a point."""
        under = [r.name for r in model.regions if box_on(self._shown[0], r.box).contains(point)]
        return under[-1] if under else ""

    def _to_image(self, point: QPointF) -> tuple[float, float]:
        x, y = self._shown[0].screen_to_image().apply(point.x(), point.y())
        return float(x), float(y)


def _region_colour(region: RegionBox, chosen: str) -> QColor:
    return palette.SELECTED if region.name == chosen else palette.letter_colour(region.letter)


def heat_image(model: ReviewModel, image_index: int) -> QImage:
    """Return where gaze dwelt over the whole reading, as a picture with transparency."""
    fixations = model.timeline.fixations
    own = fixations.part((fixations.image_index == image_index) & np.isfinite(fixations.px_per_deg_x))
    width, height = model.sizes[image_index]
    heat = dwell_map(
        own.x_image_px,
        own.y_image_px,
        own.duration_s,
        SIGMA_DEG * own.px_per_deg_x,
        SIGMA_DEG * own.px_per_deg_y,
        width_px=width,
        height_px=height,
    ).heat
    share = log_normalised(heat)
    return _tinted(np.clip((share - 0.45) / 0.55, 0.0, 1.0))


def _tinted(share: NDArray[Any]) -> QImage:
    """Return shares 0 to 1 as amber that grows denser."""
    height, width = share.shape
    colours = np.zeros((height, width, 4), np.uint8)
    alpha = 0.62 * share
    # Qt takes colours that are multiplied by their transparency, blue first.
    for channel, (low, high) in enumerate(((40, 96), (70, 190), (150, 255))):
        colours[..., channel] = (alpha * (low + (high - low) * share)).astype(np.uint8)
    colours[..., 3] = (255 * alpha).astype(np.uint8)
    return QImage(
        colours.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied
    ).copy()


def _dragged(box: Box, part: str, dx: float, dy: float) -> Box:
    x0, y0, x1, y1 = box
    if part == "all":
        return x0 + dx, y0 + dy, x1 + dx, y1 + dy
    return (
        x0 + dx * ("w" in part),
        y0 + dy * ("n" in part),
        x1 + dx * ("e" in part),
        y1 + dy * ("s" in part),
    )
