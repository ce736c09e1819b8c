"""What an engine is: a voice in, words with times out; it reads no files but its model and checks nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from curation.dictation.words import HeardWord
from gazecapture.session.audio import AudioClip

__all__ = ["CODE", "SpeechEngine"]

CODE = "GT-SPEECH"
"""Of errors that engines raise."""


@runtime_checkable
class SpeechEngine(Protocol):
    """Finds words, or the times of words that are known, in a clip.

    The same clip and text give the same words. Times lie within the clip, starts do not run backward, and no word ends
    before it starts.
    """

    @property
    def name(self) -> str:
        """Of the settings and of messages."""
        ...

    @property
    def needs_text(self) -> bool:
        """It places a text that is known; without one it has nothing to do."""
        ...

    def words(self, clip: AudioClip, text: Sequence[str] = ()) -> list[HeardWord]:
        """Return the words of a clip.

        text : the words as written. An engine that needs them returns each of them once, in order, beside the
            punctuation that it hears dictated; the others ignore them.

        Raises ConfigError (GT-SPEECH) where its model or package is not there, DataError (GT-SPEECH) where it fails.
        """
        ...
