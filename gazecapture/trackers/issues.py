"""Collecting what is odd in a file: counted by code, the first place kept; the worst of it stops a strict reading."""

from __future__ import annotations

from pathlib import Path

from gazecapture.trackers.recording import TrackerIssue
from keyframes.errors import DataError

__all__ = ["IssueLog", "refuse"]

_HINT = "Export or convert the recording again; `--tolerant` leaves out what cannot be read and says how much that is."


class IssueLog:
    """Issues of one file.

    Parameters
    ----------
    path     : named in errors; messages never hold what the file says of persons.
    tolerant : errors are counted in place of being raised.
    """

    def __init__(self, path: Path, *, tolerant: bool) -> None:
        self.path = path
        self._tolerant = tolerant
        self._found: dict[tuple[str, str], TrackerIssue] = {}

    def info(self, code: str, message: str, *, row: int | None = None, n: int = 1, file: str = "") -> None:
        """Note something that hinders nobody."""
        self._add(TrackerIssue(code=code, severity="info", message=message, file=file, first_row=row, n=n))

    def error(self, code: str, message: str, *, row: int | None = None, n: int = 1, file: str = "") -> None:
        """Note something that cannot be read. Raises DataError unless the reading is tolerant."""
        if not self._tolerant:
            raise DataError(
                message, hint=_HINT, path=self.path / file if file else self.path, record=row, code=code
            )
        self._add(TrackerIssue(code=code, severity="error", message=message, file=file, first_row=row, n=n))

    def all(self) -> tuple[TrackerIssue, ...]:
        """Return the issues in the order in which their codes were first met."""
        return tuple(self._found.values())

    def _add(self, issue: TrackerIssue) -> None:
        known = self._found.get((issue.code, issue.file))
        if known is not None:
            issue = TrackerIssue(
                code=known.code,
                severity=known.severity,
                message=known.message,
                file=known.file,
                first_row=known.first_row,
                n=known.n + issue.n,
            )
        self._found[issue.code, issue.file] = issue


def refuse(
    path: Path, message: str, *, code: str = "GT-TRACKER-FORMAT", row: int | None = None, hint: str = ""
) -> DataError:
    """Return the error for a file that cannot be read at all, tolerantly or not."""
    return DataError(message, hint=hint, path=path, record=row, code=code)
