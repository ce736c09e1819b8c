"""From sources to journals: a receiving thread per source, a bounded queue, one writing thread.

A full queue holds the receiving threads back; the sources' own buffers of minutes then keep what comes, so that
nothing is dropped here.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping

import pyarrow as pa

from gazecapture.clock import session_now_ns
from gazecapture.session.journal import JournalWriter
from gazecapture.session.recorded_stream import RecordedStream, merged
from gazecapture.sources.protocol import Source, SourceBatch, SourceMark
from keyframes.errors import DiskFullError, GazeToolError, RecordingError, StreamLostError

__all__ = ["Intake", "Note"]

logger = logging.getLogger(__name__)

COALESCE_S = 0.04
"""s; leaves 10 ms of the 50 ms within which a batch must be written for the write, which takes 1 ms."""
READ_S = 0.2
QUEUE_BATCHES = 60_000
"""A minute of a 1000 Hz stream that comes one sample at a time."""
DISK_FULL_PAUSE_S = 0.5
LAST_READS_S = 2.0
"""s in which what a source holds at the end is fetched; far longer than a pull of all of it takes."""
HELD_BACK_PAUSE_S = 0.01
"""s between two looks of a receiving thread that waits for room in the queue."""

Note = Callable[[SourceMark], None]


class Intake:
    """Runs the threads.

    Parameters
    ----------
    note       : takes marks, from any thread.
    patience_s : s to wait for room on a full disk before recording is given up.
    """

    def __init__(self, note: Note, *, patience_s: float) -> None:
        self.words: JournalWriter | None = None
        """Takes the dictated words; set before a source is added."""
        self.failure: GazeToolError | None = None
        """Why writing was given up."""
        self.other_trouble = ""
        """The newest trouble that is not a full disk."""
        self.high_water = 0
        self.n_overflows = 0
        self._note = note
        self._disk_trouble = ""
        self._patience_s = patience_s
        self._queue: queue.SimpleQueue[tuple[RecordedStream, SourceBatch] | None] = queue.SimpleQueue()
        self._end = threading.Event()
        self._receivers: list[tuple[threading.Thread, Source, Mapping[str, RecordedStream]]] = []
        self._writer = threading.Thread(target=self._write, name="write", daemon=True)
        self._writer.start()

    @property
    def trouble(self) -> str:
        """What is wrong at this moment, in one line; empty where nothing is."""
        return self._disk_trouble or self.other_trouble

    def add(self, source: Source, streams: Mapping[str, RecordedStream]) -> None:
        """Begin to take what an open source gives; ``streams`` by the source's own stream ids."""
        thread = threading.Thread(target=self._receive, args=(source, streams), name="receive", daemon=True)
        self._receivers.append((thread, source, streams))
        thread.start()

    def finish(self) -> None:
        """Stop receiving, close the sources, write all that came until then, end the threads."""
        self._end.set()
        for thread, _, _ in self._receivers:
            thread.join()
        for _, source, streams in self._receivers:
            self._close(source, streams)
        self._queue.put(None)
        self._writer.join()

    def _close(self, source: Source, streams: Mapping[str, RecordedStream]) -> None:
        """Close a source that nobody reads any more; take what it held back until its end."""
        try:
            source.close()
            self._take_rest(source, streams)
        except StreamLostError:
            pass  # closed, and nothing is left
        except GazeToolError as error:
            logger.warning("%s", error.one_line())
        except Exception as error:
            self._source_failed(error)

    def _receive(self, source: Source, streams: Mapping[str, RecordedStream]) -> None:
        try:
            while not self._end.is_set():
                self._take(source, streams, READ_S)
            self._take_rest(source, streams)
        except GazeToolError as error:
            self.other_trouble = error.one_line()
            logger.warning("%s", self.other_trouble)
            for stream in streams.values():
                self._mark("stop", stream.info.stream_id, detail=error.code)
        except Exception as error:
            self._source_failed(error)

    def _source_failed(self, error: Exception) -> None:
        logger.error("a source failed", exc_info=error)
        self.failure = self.failure or RecordingError(
            f"a source failed: {type(error).__name__}", code="GT-INTERNAL"
        )

    def _take(self, source: Source, streams: Mapping[str, RecordedStream], timeout_s: float) -> bool:
        batch = source.read(timeout_s)
        if batch is None:
            return False
        stream = streams[batch.stream_id]
        stream.note_arrival(batch, time.monotonic())
        self._put(stream, batch)
        return True

    def _take_rest(self, source: Source, streams: Mapping[str, RecordedStream]) -> None:
        """Take what a source holds at this moment: on a busy machine its samples may have waited for this thread."""
        end = time.monotonic() + LAST_READS_S
        while self._take(source, streams, 0.0) and time.monotonic() < end:
            pass

    def _put(self, stream: RecordedStream, batch: SourceBatch) -> None:
        if self._queue.qsize() >= QUEUE_BATCHES:
            began = time.monotonic()
            while self._queue.qsize() >= QUEUE_BATCHES:
                time.sleep(HELD_BACK_PAUSE_S)
            held_s = time.monotonic() - began
            self.n_overflows += 1
            self._mark(
                "overflow", stream.info.stream_id, duration_s=held_s, detail="held back, nothing dropped"
            )
        self._queue.put((stream, batch))

    def _write(self) -> None:
        """Body of the writing thread, which sleeps while a batch grows: a wake-up per sample would cost most."""
        pending: dict[RecordedStream, list[SourceBatch]] = {}
        try:
            while True:
                item = self._queue.get()
                if item is not None:
                    waited_s = (session_now_ns() - int(item[1].t_received_ns[0])) / 1e9
                    self._end.wait(max(0.0, COALESCE_S - waited_s))
                with contextlib.suppress(queue.Empty):
                    # This one is no longer in the queue.
                    self.high_water = max(self.high_water, self._queue.qsize() + 1)
                    while item is not None:
                        stream, batch = item
                        pending.setdefault(stream, []).append(batch)
                        item = self._queue.get_nowait()
                self._flush(pending)
                if item is None:
                    return
        except GazeToolError as error:
            self.failure = error
        except Exception as error:
            logger.exception("the writing thread ended")
            self.failure = RecordingError(f"the writer failed: {type(error).__name__}", code="GT-INTERNAL")
        while self._queue.get() is not None:
            pass  # what cannot be written must not hold the receiving threads for ever

    def _flush(self, pending: dict[RecordedStream, list[SourceBatch]]) -> None:
        while pending:
            stream, batches = pending.popitem()
            batch = merged(batches)
            rows, words = stream.rows(batch), stream.words(batch)
            self._append(stream.journal, rows)
            if words and self.words is not None:
                self._append(self.words, self.words.table(words))
            for mark in stream.written(batch):
                self._note(mark)

    def _append(self, journal: JournalWriter, rows: pa.Table | pa.RecordBatch) -> None:
        """Append; on a full disk wait for somebody to make room."""
        began = time.monotonic()
        while True:
            try:
                journal.append(rows)
                break
            except DiskFullError as error:
                if not self._disk_trouble:
                    self._mark("disk_low", "", detail="full")
                self._disk_trouble = error.one_line()
                if time.monotonic() - began >= self._patience_s:
                    raise
                time.sleep(min(DISK_FULL_PAUSE_S, self._patience_s))
        self._disk_trouble = ""

    def _mark(self, kind: str, stream_id: str, *, duration_s: float | None = None, detail: str = "") -> None:
        self._note(
            SourceMark(
                stream_id=stream_id, t_ns=session_now_ns(), kind=kind, duration_s=duration_s, detail=detail
            )
        )
