"""Words of a session's readings: from its audio, from transcripts of other programs, from what a person typed.

::

    SESSION/transcripts/reading-1.txt     or .json, .vtt, .srt: what was said in the session's reading number 1
    FOLDER/{session folder}/reading-1.txt the same beside the sessions

Times in a transcript count from image on. A reading without transcript and without an engine that recognises keeps the
words that were recorded with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from curation.config import SpeechConfig
from curation.dictation.importers import SUFFIXES, read_transcript
from curation.dictation.protocol import SpeechEngine
from curation.dictation.sphinx import AlignEngine, PocketSphinxEngine
from curation.dictation.transcribe import transcribe
from curation.dictation.whisper import WhisperEngine
from curation.dictation.words import HeardWord, Transcript, words_table
from curation.issues import source_issues, source_issues_entry
from gazecapture.session.audio import cut_audio, session_audio
from gazecapture.session.reading_spans import SpeechSpan, speech_spans
from gazecapture.session.removal import TRANSCRIPTS_FOLDER
from keyframes.errors import UsageError
from keyframes.reading import Reading

__all__ = ["SpeechToWords", "speech_to_words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechToWords:
    """Gives readings of sessions the words that were said.

    engine      : None: only transcripts are used, on the words that were recorded.
    transcripts : a folder with one per session; None: each session's own.
    """

    engine: SpeechEngine | None = None
    transcripts: Path | None = None

    def with_words(self, session: Path, reading: Reading) -> Reading:
        """Return the reading with its words, and with what was odd about them in its provenance.

        Raises GazeToolError where a transcript or the audio cannot be read, or the engine fails.
        """
        transcript = self._transcript(session, reading.meta.reading_number)
        wants_audio = self.engine is not None and (transcript is not None or not self.engine.needs_text)
        files = session_audio(session) if wants_audio else ()
        if transcript is None and not files:
            return reading
        span = speech_spans(session)[reading.meta.reading_number]
        clip = cut_audio(files, span.start_ns, span.end_ns) if files else None
        t_zero_ns = span.start_ns - span.on_ns if clip is not None else 0
        found = transcribe(
            clip,
            self.engine,
            transcript=None if transcript is None else _shifted(transcript, -t_zero_ns / 1e9),
            recognised=_recorded(reading, t_zero_ns),
        )
        if found is None:
            return reading
        issues = Counter(source_issues(reading.meta.provenance)) + found.issues
        if found.review == "unreviewed":
            issues["GI-WORDS-UNREVIEWED"] = len(found.words)
        said_by = {"speech_engine": self.engine.name if self.engine else "none", "transcript": found.review}
        provenance = {**reading.meta.provenance, **source_issues_entry(issues), **said_by}
        meta = replace(reading.meta, provenance=provenance)
        words = words_table(found.words, t_zero_ns=t_zero_ns, review=found.review)
        if clip is not None:  # words that were recorded with the reading have its time already
            words = _in_reading_time(words, span)
        return Reading.build(meta, {**reading.tables, "words": words})

    def _transcript(self, session: Path, number: int) -> Transcript | None:
        folder = session / TRANSCRIPTS_FOLDER if self.transcripts is None else self.transcripts / session.name
        found = [path for suffix in SUFFIXES if (path := folder / f"reading-{number}{suffix}").is_file()]
        if len(found) > 1:
            raise UsageError(
                f"there are {len(found)} transcripts of one reading",
                path=found[0],
                record=number,
                code="GT-TRANSCRIPT",
            )
        return read_transcript(found[0]) if found else None


def speech_to_words(config: SpeechConfig, transcripts: Path | None) -> SpeechToWords:
    """Return what the settings ask for.

    Raises ConfigError (GT-SPEECH) where a model is not there, UsageError where the folder of the transcripts is not:
    without it, words that transcripts gave would fall back to the recorded ones.
    """
    if transcripts is not None and not transcripts.is_dir():
        raise UsageError(f"{transcripts} is no folder", path=transcripts, hint="Check --transcripts.")
    engine: SpeechEngine | None = None
    match config.engine:
        case "align":
            engine = AlignEngine()
        case "pocketsphinx":
            engine = PocketSphinxEngine()
        case "faster-whisper" if config.model_folder is not None:
            engine = WhisperEngine(config.model_folder, language=config.language, hotwords=config.hotwords)
    return SpeechToWords(engine=engine, transcripts=transcripts)


def _in_reading_time(words: pa.Table, span: SpeechSpan) -> pa.Table:
    """Take the reading's pauses out of the words' times."""
    for name in ("t_start_ns", "t_end_ns"):
        place = words.schema.get_field_index(name)
        shorter = pa.array(span.reading_time(words[name].to_numpy()), words.schema.field(place).type)
        words = words.set_column(place, words.schema.field(place), shorter)
    return words


def _recorded(reading: Reading, t_zero_ns: int) -> list[HeardWord]:
    rows = reading.table("words").sort_by("t_start_ns").to_pylist()
    return [
        HeardWord(
            word=row["word"],
            t_start_s=(row["t_start_ns"] - t_zero_ns) / 1e9,
            t_end_s=(row["t_end_ns"] - t_zero_ns) / 1e9,
            confidence=row["confidence"],
            supported=row["supported"],
        )
        for row in rows
    ]


def _shifted(transcript: Transcript, by_s: float) -> Transcript:
    words = (
        replace(word, t_start_s=word.t_start_s + by_s, t_end_s=word.t_end_s + by_s)
        for word in transcript.words
    )
    return replace(transcript, words=tuple(words))
