"""English spelling to sounds, by rule: for words that no lexicon has. Sounds are those of CMUdict, without stress.

Aligning needs a sound sequence of about the right length and classes, not the right accent: a wrong vowel moves a
word's
edge by 10 ms, a missing word by its whole length. The longest spelling that fits at a place is taken, first the
morphemes of medicine (they keep their sound wherever they stand), then letter groups, then letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = ["MORPHEMES", "spell_out", "spelt_sounds"]

MORPHEMES: Mapping[str, str] = MappingProxyType(
    {
        "abdomin": "AE B D AA M AH N", "adeno": "AE D IH N OW", "alveol": "AE L V IY AH L", "angio": "AE N JH IY OW",
        "atelect": "AE T AH L EH K T",
        "aorto": "EY AO R T OW", "arthr": "AA R TH R", "broncho": "B R AA NG K OW", "bronchi": "B R AA NG K IY",
        "calcif": "K AE L S AH F", "cardi": "K AA R D IY", "cardio": "K AA R D IY OW", "carina": "K AH R AY N AH",
        "cephal": "S EH F AH L",
        "costo": "K AA S T OW", "diaphragm": "D AY AH F R AE M", "ectasis": "EH K T AH S AH S", "asis": "AH S AH S",
        "ectatic": "EH K T AE T IH K", "emphysem": "EH M F AH Z IY M", "fibro": "F AY B R OW",
        "gastro": "G AE S T R OW",
        "gram": "G R AE M", "graph": "G R AE F", "graphy": "G R AH F IY", "hemi": "HH EH M IY", "hepat": "HH EH P AH T",
        "hilar": "HH AY L ER", "hilum": "HH AY L AH M", "hila": "HH AY L AH", "hyper": "HH AY P ER",
        "hypo": "HH AY P OW",
        "infra": "IH N F R AH", "inter": "IH N T ER", "intra": "IH N T R AH", "itis": "AY T AH S", "kyph": "K AY F",
        "lingula": "L IH NG G Y AH L AH", "logy": "L AH JH IY", "lucen": "L UW S AH N", "lymph": "L IH M F",
        "mediastin": "M IY D IY AH S T AY N", "megaly": "M EH G AH L IY", "meter": "M IY T ER", "micro": "M AY K R OW",
        "opac": "OW P AE S", "opaque": "OW P EY K", "osis": "OW S AH S", "osteo": "AA S T IY OW",
        "otomy": "AA T AH M IY",
        "para": "P EH R AH", "pathy": "P AH TH IY", "peri": "P EH R IY", "phren": "F R EH N",
        "phthisis": "TH AY S AH S",
        "pleur": "P L UH R", "pneumo": "N UW M OW", "pneumon": "N UW M OW N", "pulmon": "P UH L M AH N",
        "radio": "R EY D IY OW", "retro": "R EH T R OW", "sarcoid": "S AA R K OY D", "scapul": "S K AE P Y AH L",
        "scler": "S K L EH R", "scoli": "S K OW L IY", "spondyl": "S P AA N D AH L", "steno": "S T AH N OW",
        "sternal": "S T ER N AH L", "sub": "S AH B", "supra": "S UW P R AH", "thorac": "TH AO R AE S",
        "thorax": "TH AO R AE K S", "thym": "TH AY M", "tomy": "T AH M IY", "trache": "T R EY K IY",
        "tracheo": "T R EY K IY OW", "ureter": "Y UH R AH T ER", "vascul": "V AE S K Y AH L",
        "vertebr": "V ER T AH B R",
    }
)  # fmt: skip
"""Spelling -> sounds of the parts that medical words are made of."""

_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "tion": "SH AH N", "sion": "ZH AH N", "cious": "SH AH S", "tious": "SH AH S", "ious": "IY AH S", "ous": "AH S",
        "ture": "CH ER", "ight": "AY T", "augh": "AO", "ough": "AO", "eigh": "EY", "tch": "CH", "dge": "JH",
        "sch": "SH",
        "chr": "K R", "phth": "TH", "rrh": "R", "ph": "F", "th": "TH", "sh": "SH", "ch": "CH", "ck": "K", "gh": "G",
        "kn": "N", "gn": "N", "ps": "S", "pn": "N", "wr": "R", "wh": "W", "qu": "K W", "ng": "NG", "nk": "NG K",
        "rh": "R",
        "sc": "S K", "sce": "S EH", "sci": "S IH", "scy": "S IH", "xc": "K S", "ae": "IY", "oe": "IY", "ai": "EY",
        "ay": "EY", "au": "AO", "aw": "AO", "ea": "IY", "ee": "IY", "ei": "IY", "ey": "IY", "eu": "UW", "ew": "UW",
        "ie": "IY", "ia": "IY AH", "io": "IY OW", "oa": "OW", "oi": "OY", "oy": "OY", "oo": "UW", "ou": "AW",
        "ow": "OW",
        "ue": "UW", "ui": "UW", "ar": "AA R", "er": "ER", "ir": "ER", "or": "AO R", "ur": "ER", "yr": "IH R",
        "ce": "S EH",
        "ci": "S IH", "cy": "S IH", "ge": "JH EH", "gi": "JH IH", "gy": "JH IH", "al": "AH L", "le": "L EH",
    }
)  # fmt: skip
_LETTERS: Mapping[str, str] = MappingProxyType(
    {
        "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH",
        "k": "K",
        "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
        "w": "W", "x": "K S", "y": "IY", "z": "Z",
    }
)  # fmt: skip
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY",
        "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW",
        "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S",
        "y": "W AY", "z": "Z IY",
    }
)  # fmt: skip
_AT_START: Mapping[str, str] = MappingProxyType({"x": "Z", "y": "Y", "pt": "T", "mn": "N"})
_AT_END: Mapping[str, str] = MappingProxyType(
    {
        "ies": "IY Z", "ses": "S IH Z", "ed": "D", "es": "Z", "e": "", "y": "IY", "ae": "IY", "ii": "IY AY", "i": "AY",
        "a": "AH", "um": "AH M", "us": "AH S", "is": "AH S", "ic": "IH K", "le": "AH L", "ism": "IH Z AH M",
        "ity": "IH T IY",
        "able": "AH B AH L", "ible": "AH B AH L", "ment": "M AH N T", "ate": "EY T", "ize": "AY Z", "ise": "AY Z",
        "ce": "S", "ge": "JH", "ous": "AH S", "ally": "AH L IY", "o": "OW",
    }
)  # fmt: skip
"""What stands for another sound in the first or the last place of a word."""
_LONG: Mapping[str, str] = MappingProxyType({"a": "EY", "i": "AY", "o": "OW", "u": "UW"})
"""Vowels before one consonant and a silent e."""
_SILENT_E = re.compile(r"[aiou][bcdfgklmnpstvz]e$")
_VOWEL = re.compile(r"[aeiouy]")


def spelt_sounds(word: str) -> str:
    """Return the sounds of a word by the rules of spelling, separated by spaces; only a-z count."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    if not letters:
        return ""
    if not _VOWEL.search(letters):
        return spell_out(letters)
    sounds: list[str] = []
    place = 0
    while place < len(letters):
        spelling, said = _at(letters, place)
        sounds.append(said)
        place += len(spelling)
    return _joined(sounds)


def spell_out(letters: str) -> str:
    """Return the names of the letters: of an abbreviation."""
    return _joined(_NAMES[letter] for letter in letters.lower() if letter in _NAMES)


def _at(letters: str, place: int) -> tuple[str, str]:
    """Return the longest spelling at a place that a rule knows, and its sounds."""
    rest = letters[place:]
    if _SILENT_E.fullmatch(rest):
        return rest[0], _LONG[rest[0]]
    if place and rest in _AT_END:
        return rest, _AT_END[rest]
    for table in (MORPHEMES, _AT_START if not place else {}, _GROUPS):
        fits = [spelling for spelling in table if rest.startswith(spelling)]
        if fits:
            best = max(fits, key=len)
            return best, table[best]
    doubled = len(rest) > 1 and rest[0] == rest[1] and rest[0] not in "aeiou"
    return rest[0] * (2 if doubled else 1), _LETTERS[rest[0]]


def _joined(sounds: Iterable[str]) -> str:
    return " ".join(part for part in sounds if part)
