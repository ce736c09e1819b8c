"""faster-whisper with a model that lies in a local folder; nothing is ever downloaded.

Whisper was trained on subtitles and invents them where nobody speaks, so it is held short: voice activity first, no
text
carried from one window into the next, one language. What it says is judged by `curation.dictation.checks` all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curation.dictation.protocol import CODE
from curation.dictation.words import HeardWord
from gazecapture.session.audio import AudioClip
from keyframes.errors import ConfigError, DataError

__all__ = ["WhisperEngine"]

_NEEDED = ("model.bin", "config.json")
_TOKENIZER = "tokenizer.json"
BEAM_SIZE = 5
"""Of the search; faster-whisper's own default."""


class WhisperEngine:
    """Open recognition by a model of faster-whisper.

    model_folder : a converted model: model.bin, config.json, tokenizer.json. Raises ConfigError (GT-SPEECH) where it
    is not.
    language     : two letters; whisper guesses otherwise, by the first half minute.
    hotwords     : words that the model is primed with.
    """

    name = "faster-whisper"
    needs_text = False

    def __init__(self, model_folder: Path, *, language: str = "en", hotwords: Sequence[str] = ()) -> None:
        if not model_folder.is_dir():
            raise ConfigError(
                "the folder of the speech model does not exist",
                hint="Give [speech] model_folder a faster-whisper model that was copied here; nothing is downloaded.",
                path=model_folder,
                code=CODE,
            )
        missing = [name for name in (*_NEEDED, _TOKENIZER) if not (model_folder / name).is_file()]
        if missing:
            # Without the tokenizer faster-whisper would fetch one from the network.
            raise ConfigError(
                f"the speech model lacks {', '.join(missing)}",
                hint="Convert it with ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json.",
                path=model_folder,
                code=CODE,
            )
        self._folder = model_folder
        self._language = language
        self._hotwords = " ".join(hotwords) or None
        self._model: Any = None

    def words(self, clip: AudioClip, text: Sequence[str] = ()) -> list[HeardWord]:
        """See `curation.dictation.protocol.SpeechEngine.words`."""
        if not clip.samples.size:
            return []
        sound = clip.samples.astype(np.float32) / 32768.0
        model = self._loaded()
        try:
            segments, _ = model.transcribe(
                sound,
                language=self._language,
                task="transcribe",
                beam_size=BEAM_SIZE,
                temperature=0.0,  # one attempt, the same every time
                condition_on_previous_text=False,
                vad_filter=True,
                word_timestamps=True,
                hotwords=self._hotwords,
            )
            return list(_in_order(segments, clip.duration_s))
        except (RuntimeError, ValueError) as error:
            raise DataError("faster-whisper could not work on the clip", code=CODE) from error

    def _loaded(self) -> Any:
        if self._model is None:
            try:
                from faster_whisper import WhisperModel
            except ImportError:
                raise ConfigError(
                    "the package faster-whisper is not installed",
                    hint="pip install 'gazecapture[whisper]', or set [speech] engine to another one.",
                    code=CODE,
                ) from None
            try:
                self._model = WhisperModel(
                    str(self._folder), device="cpu", compute_type="default", local_files_only=True
                )
            except Exception as error:  # the libraries below raise bare exceptions for damaged models
                raise ConfigError(
                    "the speech model cannot be loaded",
                    hint="Convert it anew with ct2-transformers-converter.",
                    path=self._folder,
                    code=CODE,
                ) from error
        return self._model


def _in_order(segments: Any, duration_s: float) -> Iterator[HeardWord]:
    """Give the words, their times within the clip and not running backward."""
    since_s = 0.0
    for segment in segments:
        for word in segment.words or ():
            if not word.word.strip():
                continue
            since_s = min(max(since_s, float(word.start)), duration_s)
            yield HeardWord(
                word=word.word.strip(),
                t_start_s=since_s,
                t_end_s=min(max(float(word.end), since_s), duration_s),
                confidence=min(max(float(word.probability), 0.0), 1.0),
            )
