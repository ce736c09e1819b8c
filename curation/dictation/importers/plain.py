"""A text that a person typed or corrected: words and punctuation, no times."""

from __future__ import annotations

from curation.dictation.importers.parts import malformed, text_of, timed_word, transcript
from curation.dictation.words import Transcript

__all__ = ["read_plain"]


def read_plain(content: bytes) -> Transcript:
    """Read UTF-8 text. An empty line ends a sentence. Raises SchemaError where it is binary."""
    text = text_of(content)
    if any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
        malformed("it holds control characters")
    words = []
    for number, paragraph in enumerate(_paragraphs(text), start=1):
        said = [timed_word(word, None, None, record=f"paragraph {number}") for word in paragraph.split()]
        if said and said[-1].word[-1] not in ".!?":
            said.append(timed_word(".", None, None, record=f"paragraph {number}"))
        words += said
    return Transcript(words=transcript(words).words, review="reviewed")


def _paragraphs(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    joined = "\n".join(line.strip() for line in lines)
    return joined.split("\n\n")
