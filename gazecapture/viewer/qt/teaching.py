"""The teaching window: the own reading and the expert's on the same film, side by side. It shows, it does not grade."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QCloseEvent,
    QColor,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from PyQt6.QtWidgets import QWidget

from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.viewer.background import Workers
from gazecapture.viewer.model import ViewportState
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.film_painter import FilmPainter, box_on, label, xywh
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.qt.surroundings import ending_on_signals, screen_of, show_on
from gazecapture.viewer.review.shown import whole_image
from gazecapture.viewer.teaching import Comparison, Pairing, PairSource, Side, compared
from keyframes.errors import GazeToolError
from keyframes.looks import image_sizes

__all__ = ["TeachingWindow", "teach"]

BAR_HEIGHT = 44
FOOT_HEIGHT = 226
PAD = 18
LINE = 20
RADIUS_PER_ROOT_S = 20.0
"""Logical px of a fixation of 1 s."""
LABEL_HEIGHT = 14.0
STEP_NS = 500_000_000
FRAME_MS = 50
PATIENCE_S = 10.0
"""s to wait at the end for a study that is being loaded; it is of no use to anybody then."""
PLAIN = Preset(preset_id="auto", name="", center=0.5, width=1.0, voi="LINEAR")
NUMBERED = 10
"""Fixations that bear their number, the last ones."""
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
_WRAP = int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap)


class TeachingWindow(QWidget):
    """Shows one shared study after the other."""

    closed = pyqtSignal()
    _all_closed = pyqtSignal()
    _ready = pyqtSignal(int, object)

    def __init__(self, source: PairSource, pairs: list[Pairing]) -> None:
        super().__init__()
        self.setWindowTitle("gazecapture teaching (research use only, not for diagnosis)")
        colours = QPalette()
        colours.setColor(QPalette.ColorRole.Window, theme.SURROUND)
        self.setPalette(colours)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.resize(1280, 800)
        self._source, self._pairs = source, pairs
        self._place = 0
        self._image_index = 0
        self._workers = Workers()
        self._painter = FilmPainter({})
        self.shown: Comparison | None = None
        self.trouble = ""
        self.t_ns: int | None = None
        """Both readings until then; None: all of both."""
        self.shows_missed = True
        self._playing = QTimer(self)
        self._playing.timeout.connect(self._go_on)
        self._ready.connect(self._take)
        self._is_closing = False
        # By way of a method of this object, so that `closed` comes in the GUI thread.
        self._all_closed.connect(self._everything_closed)
        self._open(0)

    def _open(self, place: int) -> None:
        if not 0 <= place < len(self._pairs):
            return
        self._place, self.shown, self.trouble, self.t_ns = place, None, "", None
        self._playing.stop()
        self._workers.start(lambda: self._load(place))
        self.update()

    def _load(self, place: int) -> None:
        try:
            outcome: Any = compared(self._source, self._pairs[place])
        except Exception as error:
            outcome = error
        self._ready.emit(place, outcome)

    def _take(self, place: int, outcome: Any) -> None:
        if place != self._place:
            return
        if isinstance(outcome, Exception):
            self.trouble = outcome.one_line() if isinstance(outcome, GazeToolError) else repr(outcome)
        else:
            self.shown = outcome
            self._painter = FilmPainter(outcome.pictures)
            self._image_index = min(image_sizes(outcome.own.reading.table("images")), default=0)
        self.update()

    # Painting

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint both sides."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.SURROUND)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(QRectF(0, 0, self.width(), BAR_HEIGHT), theme.BAR)
        painter.setFont(theme.font(15, bold=True))
        painter.setPen(theme.TEXT)
        bar = QRectF(PAD, 0, self.width() - 2 * PAD, BAR_HEIGHT)
        pair = self._pairs[self._place]
        painter.drawText(bar, _LEFT, f"{pair.title}   ({self._place + 1} of {len(self._pairs)})")
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        painter.drawText(
            bar, _RIGHT, "Space plays    ← → 0.5 s    End all    M missed    I image    Page Up, Down study"
        )
        if self.shown is None:
            painter.setFont(theme.font(14))
            painter.setPen(theme.NOTICE if self.trouble else theme.DIM)
            painter.drawText(
                QRectF(self.rect()).adjusted(40, 0, -40, 0),
                int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap),
                self.trouble or "…",
            )
        else:
            self._paint_side(painter, self.shown, self.shown.own, "You", 0)
            self._paint_side(painter, self.shown, self.shown.expert, "Expert", 1)
            painter.setPen(QPen(theme.EDGE, 1.0))
            painter.drawLine(self.width() // 2, BAR_HEIGHT, self.width() // 2, self.height())
        painter.end()

    def _paint_side(self, painter: QPainter, shown: Comparison, side: Side, name: str, place: int) -> None:
        left = place * self.width() / 2
        width = self.width() / 2
        film = (left + 2, float(BAR_HEIGHT) + 2, left + width - 2, float(self.height() - FOOT_HEIGHT))
        state = whole_image(self._view(shown, side), film)
        painter.setClipRect(QRectF(*xywh(film)))
        self._painter.paint(painter, state, self.devicePixelRatioF())
        if self.shows_missed:
            self._paint_missed(painter, shown, side, state)
        self._paint_path(painter, side, state)
        painter.setFont(theme.font(15, bold=True))
        label(painter, QPointF(left + PAD, BAR_HEIGHT + 30), name, theme.TEXT)
        painter.setClipping(False)
        foot = QRectF(left, self.height() - FOOT_HEIGHT, width, FOOT_HEIGHT)
        painter.fillRect(foot, theme.BAR)
        self._paint_letters(painter, shown, side, foot.adjusted(PAD, 10, -PAD, -8))

    def _view(self, shown: Comparison, side: Side) -> ImageView:
        if self._image_index in shown.pictures:
            return shown.pictures[self._image_index].view
        width, height = image_sizes(side.reading.table("images")).get(self._image_index, (1, 1))
        return ImageView(image_index=self._image_index, width_px=width, height_px=height, presets=(PLAIN,))

    def _paint_missed(self, painter: QPainter, shown: Comparison, side: Side, state: ViewportState) -> None:
        """Outline what this reader did not look at; on the own side what the expert did look at stands out."""
        only_expert = set(shown.only_expert_saw(self._image_index)) if side is shown.own else set()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setFont(theme.font(11))
        taken: list[float] = []
        for row in side.reading.table("regions").to_pylist():
            if row["image_index"] != self._image_index:
                continue
            if row["region"] not in side.missed.get(self._image_index, frozenset()):
                continue
            stands_out = row["region"] in only_expert
            colour = theme.NOTICE if stands_out else palette.ABSENT
            style = Qt.PenStyle.SolidLine if stands_out else Qt.PenStyle.DotLine
            painter.setPen(QPen(colour, 1.6 if stands_out else 1.0, style))
            rect = box_on(state, tuple(row["box"]))
            painter.drawRect(rect)
            if stands_out:
                place = rect.topLeft() + QPointF(4, 14)
                while any(abs(place.y() - y) < LABEL_HEIGHT for y in taken):
                    place += QPointF(0, LABEL_HEIGHT)
                taken.append(place.y())
                label(painter, place, row["region"], colour)

    def _paint_path(self, painter: QPainter, side: Side, state: ViewportState) -> None:
        until = side.timeline.end_ns if self.t_ns is None else self.t_ns
        looks = side.timeline.looks_until(until, self._image_index)
        f = side.timeline.fixations
        xs, ys = state.image_to_screen().apply(f.x_image_px[looks], f.y_image_px[looks])
        points = [QPointF(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        painter.setOpacity(0.45)
        painter.setPen(QPen(theme.TEXT, 1.0))
        painter.drawPolyline(QPolygonF(points))
        painter.setOpacity(1.0)
        fill = QColor(palette.GAZE)
        fill.setAlpha(60)
        painter.setFont(theme.font(10))
        for place, (k, point) in enumerate(zip(looks, points, strict=True)):
            painter.setBrush(fill)
            painter.setPen(QPen(palette.GAZE, 1.2))
            radius = RADIUS_PER_ROOT_S * float(f.duration_s[k]) ** 0.5
            painter.drawEllipse(point, radius, radius)
            if place >= len(points) - NUMBERED:
                label(painter, point + QPointF(-4, 4), str(place + 1), theme.TEXT)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_letters(self, painter: QPainter, shown: Comparison, side: Side, room: QRectF) -> None:
        """Paint the trajectory by letter, dwell and coverage, and what was missed."""
        timeline = side.timeline
        longest = max(shown.own.timeline.end_ns, shown.expert.timeline.end_ns)
        strip = QRectF(room.left(), room.top(), room.width(), 18)
        painter.setFont(theme.font(11))
        for visit in timeline.letters:
            if self.t_ns is not None and visit.t_start_ns > self.t_ns:
                break
            x0, x1 = (strip.left() + strip.width() * t / longest for t in (visit.t_start_ns, visit.t_end_ns))
            rect = QRectF(x0, strip.top(), max(1.5, x1 - x0 - 0.5), strip.height())
            fill = QColor(palette.letter_colour(visit.letter))
            fill.setAlpha(130)
            painter.fillRect(rect, fill)
            if rect.width() > 12:
                painter.setPen(theme.TEXT)
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, visit.letter)
        top = strip.bottom() + 10
        half = room.width() / 2 - 10
        most = max((one.dwell_share for s in (shown.own, shown.expert) for one in s.letters), default=1.0)
        painter.setFont(theme.font(11))
        painter.setPen(theme.DIM)
        painter.drawText(QRectF(room.left() + 24, top, half - 24, LINE), _LEFT, "share of the time")
        painter.drawText(QRectF(room.left(), top, half, LINE), _RIGHT, "covered")
        painter.drawText(QRectF(room.left() + half + 20, top, half, LINE), _LEFT, "not looked at")
        top += LINE
        lines = top
        painter.setFont(theme.font(12))
        for one in side.letters:
            painter.setPen(palette.letter_colour(one.letter))
            painter.drawText(QRectF(room.left(), lines, 20, LINE), _LEFT, one.letter)
            fill = QColor(palette.letter_colour(one.letter))
            fill.setAlpha(150)
            share = one.dwell_share / most if most > 0 else 0.0
            painter.fillRect(QRectF(room.left() + 24, lines + 5, (half - 130) * share, LINE - 10), fill)
            painter.setPen(theme.TEXT if one.dwell_s > 0 else theme.DIM)
            painter.drawText(
                QRectF(room.left(), lines, half - 52, LINE), _RIGHT, f"{100 * one.dwell_share:.0f} %"
            )
            covered = "" if one.covered_share is None else f"{100 * one.covered_share:.0f} %"
            painter.drawText(QRectF(room.left(), lines, half, LINE), _RIGHT, covered)
            lines += LINE
        missed = sorted(side.missed.get(self._image_index, frozenset()))
        only_expert = shown.only_expert_saw(self._image_index) if side is shown.own else []
        rest = [name for name in missed if name not in only_expert]
        text = QRectF(room.left() + half + 20, top + 2, half - 10, room.bottom() - top)
        if only_expert:
            painter.setPen(theme.NOTICE)
            drawn = painter.boundingRect(text, _WRAP, "the expert did: " + ", ".join(only_expert))
            painter.drawText(text, _WRAP, "the expert did: " + ", ".join(only_expert))
            text = text.adjusted(0, drawn.height() + 6, 0, 0)
        painter.setPen(theme.DIM)
        painter.drawText(text, _WRAP, ", ".join(rest) if rest or only_expert else "nothing of the template")

    # Keys

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Do what a key stands for."""
        if event is None:
            return
        key = event.key()
        if key == Qt.Key.Key_Q and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.close()
        elif key in {Qt.Key.Key_PageDown, Qt.Key.Key_PageUp}:
            self._open(self._place + (1 if key == Qt.Key.Key_PageDown else -1))
        elif key == Qt.Key.Key_F11:
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        elif self.shown is not None:
            self._study_key(self.shown, key)
        self.update()

    def _study_key(self, shown: Comparison, key: int) -> None:
        longest = max(shown.own.timeline.end_ns, shown.expert.timeline.end_ns)
        if key == Qt.Key.Key_Space:
            if self._playing.isActive():
                self._playing.stop()
            else:
                self.t_ns = 0 if self.t_ns is None else self.t_ns
                self._playing.start(FRAME_MS)
        elif key in {Qt.Key.Key_Left, Qt.Key.Key_Right}:
            now = longest if self.t_ns is None else self.t_ns
            self.t_ns = min(max(0, now + (STEP_NS if key == Qt.Key.Key_Right else -STEP_NS)), longest)
        elif key == Qt.Key.Key_End:
            self._playing.stop()
            self.t_ns = None
        elif key == Qt.Key.Key_Home:
            self.t_ns = 0
        elif key == Qt.Key.Key_M:
            self.shows_missed = not self.shows_missed
        elif key == Qt.Key.Key_I:
            indexes = sorted(image_sizes(shown.own.reading.table("images")))
            self._image_index = indexes[(indexes.index(self._image_index) + 1) % len(indexes)]

    def _go_on(self) -> None:
        if self.shown is None or self.t_ns is None:
            return
        self.t_ns += FRAME_MS * 1_000_000
        if self.t_ns >= max(self.shown.own.timeline.end_ns, self.shown.expert.timeline.end_ns):
            self.t_ns = None
            self._playing.stop()
        self.update()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Close; `closed` comes when a thread has waited for what is being loaded."""
        self._playing.stop()
        if event is not None:
            event.accept()
        if not self._is_closing:
            self._is_closing = True
            self._workers.start_last(self._close_everything)

    def _close_everything(self) -> None:
        self._workers.join(patience_s=PATIENCE_S)
        self._all_closed.emit()

    def _everything_closed(self) -> None:
        self._workers.wait_for_last()
        self.closed.emit()


def teach(
    source: PairSource, pairs: list[Pairing], *, size_px: tuple[int, int] | None, screen_index: int
) -> None:
    """Show the pairs until the window is closed."""
    application = make_application(size_px)
    window = TeachingWindow(source, pairs)
    window.closed.connect(lambda: application.exit(0))
    show_on(window, screen_of(application, screen_index), size_px)

    def end(_error: BaseException) -> None:
        window.close()

    with ending_on_signals(end):
        application.exec()
