"""Words that somebody else sends, as long as the reader agrees that speech is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gazecapture.clock import session_now_ns
from gazecapture.session.schema import StreamInfo
from gazecapture.sources.protocol import ClockOffset, Source, SourceBatch, SourceMark

__all__ = ["ConsentedWords"]

logger = logging.getLogger(__name__)


class ConsentedWords:
    """A source of words (`gazecapture.sources.protocol.Source`) of which nothing is given while it may not be.

    Its connection stays, for the reader may agree again; what comes meanwhile is forgotten at once, and a mark says
    when that began and ended.

    Parameters
    ----------
    source   : of words alone; its reader had agreed when it was chosen.
    may_hear : asked after every wait for words, so that none that came after a refusal gets through.
    """

    def __init__(self, source: Source, may_hear: Callable[[], bool]) -> None:
        self._source = source
        self._may_hear = may_hear
        self._agreed = True
        self._own_marks: list[SourceMark] = []

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The source's streams."""
        return self._source.info

    def open(self) -> None:
        """Open the source."""
        self._source.open()

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Return what the source gives, None where the reader does not agree to that."""
        batch = self._source.read(timeout_s)
        agreed_before, self._agreed = self._agreed, self._may_hear()
        if self._agreed != agreed_before:
            self._note_change()
        # What is read when the reader agrees again may have come before.
        return batch if self._agreed and agreed_before else None

    def offsets(self) -> list[ClockOffset]:
        """Return the source's."""
        return self._source.offsets()

    def marks(self) -> list[SourceMark]:
        """Return the source's, and when words were no longer taken or are again."""
        own, self._own_marks = self._own_marks, []
        return [*self._source.marks(), *own]

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _note_change(self) -> None:
        said = "the reader agrees again" if self._agreed else "the reader does not agree any more"
        logger.warning("%s that speech is recorded", said)
        self._own_marks += [
            SourceMark(
                stream_id=info.stream_id,
                t_ns=session_now_ns(),
                kind="start" if self._agreed else "stop",
                detail=f"{said} that speech is recorded",
            )
            for info in self._source.info
        ]
