"""What the reader marks and measures on the film that is open: from the window into the annotations journal."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QObject

from gazecapture.clock import session_now_ns
from gazecapture.viewer.findings import Finding, FindingsOfReading
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.measures import Line, MeasureKind, MeasuresOfReading
from gazecapture.viewer.qt.viewport import DrawnBox
from gazecapture.viewer.qt.window import ReadingWindow

__all__ = ["Marking"]


class Marking(QObject):
    """Takes marks from the window while a film is open, and from a driver."""

    def __init__(self, window: ReadingWindow, journals: ViewerJournals) -> None:
        super().__init__()
        self._window, self._journals = window, journals
        self._findings, self._measures = FindingsOfReading(0), MeasuresOfReading(0)
        self._is_open = False
        self._left: dict[int, dict[str, Finding]] = {}
        """Findings on films that were given up: they are there again when the film comes again."""
        window.finding_made.connect(self._finding_drawn)
        window.remove_mark_asked.connect(self._remove_last)
        window.measure_begun.connect(self._begin_measure)
        window.line_drawn.connect(self._line_drawn)

    def open_film(self, reading_number: int, restored: Mapping[str, Finding]) -> None:
        """Begin a film with the findings that it had before the session was broken off."""
        findings = {**restored, **self._left.pop(reading_number, {})}
        self._findings = FindingsOfReading(reading_number, findings)
        self._measures = MeasuresOfReading(reading_number)
        self._is_open = True
        self.show()

    def image_on(self, t_ns: int) -> None:
        """Journal that the findings from before belong to the reading that begins now."""
        self._journals.write("annotations", self._findings.put_all_again(t_ns))

    def close_film(self) -> None:
        """End the film; nothing is taken until the next one."""
        self._is_open = False

    def give_up_film(self) -> None:
        """End the film; its findings come again with it."""
        self._left[self._findings.reading_number] = {f.finding_id: f for f in self._findings.findings}
        self.close_film()

    def show(self) -> None:
        """Draw them on the film."""
        self._window.show_marks(self._findings.findings, self._measures.measures)

    def put(self, finding: Finding) -> None:
        """Add or replace a finding."""
        if self._is_open:
            self._journals.write("annotations", [self._findings.put(finding, session_now_ns())])
            self.show()

    def _finding_drawn(self, drawn: DrawnBox, label: str, certainty: float, rating: float | None) -> None:
        self.put(
            Finding(
                finding_id=self._findings.new_id(),
                label=label,
                certainty=certainty,
                rating=rating,
                image_index=drawn.image_index,
                shape=drawn.shape,
                box=drawn.box,
            )
        )

    def _begin_measure(self, kind: MeasureKind) -> None:
        self._measures.begin(kind)
        self.show()

    def _line_drawn(self, line: Line) -> None:
        if not self._is_open:
            return
        measure, is_whole = self._measures.add(line)
        if is_whole:
            spacing = self._window.canvas.spacing_of(line.image_index)
            row = measure.row(session_now_ns(), self._findings.reading_number, spacing)
            self._journals.write("annotations", [row])
        else:
            self._window.draw_line()
        self.show()

    def _remove_last(self) -> None:
        """Take the newest measure back, or else the newest finding: measures are made to be read and removed."""
        if not self._is_open:
            return
        t_ns, number = session_now_ns(), self._findings.reading_number
        measure = self._measures.remove_last()
        row = self._findings.remove_last(t_ns) if measure is None else measure.removal(t_ns, number)
        if row is not None:
            self._journals.write("annotations", [row])
        self.show()
