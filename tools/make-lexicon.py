"""Make curation/privacy/words/general-en.txt from an unpacked SCOWL (Debian's package scowl).

    python tools/make-lexicon.py /usr/share/dict/scowl

Common English words without those that are also given names, surnames or places: the list decides what may leave a
store, so a word that could name somebody is out. The words of radiology among them are in medical-en.txt.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LARGEST_WORDS = 40
"""SCOWL's size up to which words are taken: common ones, and the inflections of common ones."""
LARGEST_NAMES = 60
"""Size up to which names are taken out: it holds the thousand commonest given names and surnames, and places."""
TARGET = Path(__file__).parents[1] / "curation" / "privacy" / "words" / "general-en.txt"
HEADER = (
    "# Common English words without names, made by tools/make-lexicon.py from SCOWL 2020.12.07; see NOTICE.\n"
)


def words_of(folder: Path, kinds: str, largest: int) -> set[str]:
    """Return the words of all lists of the given kinds up to a size, case-folded."""
    found: set[str] = set()
    for path in folder.iterdir():
        match = re.fullmatch(rf"(?:english|american|british|british_z)-(?:{kinds})\.(\d+)", path.name)
        if match and int(match[1]) <= largest:
            found |= {word.casefold() for word in path.read_text(encoding="latin-1").split()}
    return found


def main() -> None:
    """Write the list."""
    folder = Path(sys.argv[1])
    names = {w.removesuffix("'s") for w in words_of(folder, "proper-names|upper", LARGEST_NAMES)}
    words = words_of(folder, "words", LARGEST_WORDS) - names
    kept = sorted(w for w in words if re.fullmatch(r"[a-z]{2,}", w))
    TARGET.write_text(HEADER + "\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
