"""The sections of a written report, by the headings that radiologists of one hospital use in many spellings."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

__all__ = ["REPORT", "report_sections"]

REPORT: Final = "report"
"""Text under no heading."""
_HEADINGS: Final = MappingProxyType(
    {
        "findings": ("FINDINGS", "FINDING", "FRONTAL AND LATERAL VIEWS OF THE CHEST", "CHEST"),
        "impression": ("IMPRESSION", "IMPRESSIONS", "CONCLUSION", "CONCLUSIONS", "OPINION"),
        "indication": ("INDICATION", "INDICATIONS", "REASON FOR EXAM", "REASON FOR EXAMINATION", "REASON FOR THE EXAM"),
        "history": ("HISTORY", "CLINICAL HISTORY", "CLINICAL INFORMATION", "CLINICAL INDICATION"),
        "comparison": ("COMPARISON", "COMPARISONS", "COMPARISON STUDY"),
        "technique": ("TECHNIQUE", "PROCEDURE"),
        "examination": ("EXAMINATION", "EXAM", "STUDY", "TYPE OF EXAMINATION"),
        "recommendation": ("RECOMMENDATION", "RECOMMENDATIONS"),
        "notification": ("NOTIFICATION", "NOTIFICATIONS"),
        "addendum": ("ADDENDUM",),
        "wet_read": ("WET READ", "WET READ VERSION"),
    }
)  # fmt: skip
_SECTION_OF: Final = {heading: name for name, headings in _HEADINGS.items() for heading in headings}
_HEADING: Final = re.compile(r"^[ \t]*([A-Z][A-Z ]{2,40}?)[ \t]*:", re.MULTILINE)
_TITLE: Final = re.compile(r"^[ \t]*(?:FINAL (?:REPORT|ADDENDUM)|PRELIMINARY REPORT)[ \t]*$", re.MULTILINE)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def report_sections(text: str) -> dict[str, str]:
    """Return the report's text by section, white space made single; only sections that say something.

    A heading that is not one of the known ones stays text of its section ("LUNGS: clear"). A section that comes twice
    is one. Text before the first heading, without the report's title, is section ``report``.
    """
    text = _TITLE.sub("", _CONTROL.sub(" ", text))
    found: dict[str, list[str]] = {}
    name, start = REPORT, 0
    for match in _HEADING.finditer(text):
        section = _SECTION_OF.get(" ".join(match[1].split()))
        if section is not None:
            found.setdefault(name, []).append(text[start : match.start()])
            name, start = section, match.end()
    found.setdefault(name, []).append(text[start:])
    said = {name: " ".join(" ".join(parts).split()) for name, parts in found.items()}
    return {name: words for name, words in said.items() if words}
