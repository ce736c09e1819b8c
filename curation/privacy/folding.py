"""Letters as they are compared: whatever their case, with or without accents, composed or not."""

from __future__ import annotations

import unicodedata

__all__ = ["folded"]


def folded(text: str) -> str:
    """Return a text in lower case without accents: \u00fc, in one character or in two, is u."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text)
    return "".join(c for c in apart if not unicodedata.combining(c)).casefold()
