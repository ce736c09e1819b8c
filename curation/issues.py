"""The coded issues that curation may find in a reading, and how grave each is unless the settings say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = [
    "GAZE_DISCARDED",
    "ISSUE_SEVERITY",
    "SOURCE_ISSUES",
    "Severity",
    "source_issues",
    "source_issues_entry",
]

Severity = Literal["ignore", "info", "warning", "error"]
"""ignore: not listed. error: the reading is rejected."""

GAZE_DISCARDED = "gaze_discarded"
"""Entry ``true`` of a reading's provenance: its own authors threw the gaze away; GQ-DISCARDED says so."""

SOURCE_ISSUES: Mapping[str, tuple[Severity, str]] = MappingProxyType(
    {
        "GI-SCENE-UNMAPPED": ("warning", "gaze is in px of a scene camera or a medium, not of the screen"),
        "GI-JOURNAL-DAMAGED": ("warning", "parts of the session's journals cannot be read and are in no reading"),
        "GI-NO-PICTURE": ("info", "the source names a picture that was not found"),
        "GI-NO-IMAGE": ("warning", "nothing says which image was shown, so that gaze stays on the screen"),
        "GI-NO-RECT": ("warning", "nothing says where the image was shown, so that gaze stays on the screen"),
        "GI-RECT-OFF-SCREEN": ("warning", "the image was shown in part beyond the screen"),
        "GI-RECT-MESSAGE": ("warning", "a message names a rectangle that cannot be one"),
        "GI-ASPECT": ("warning", "the image was shown wider or higher than its pixels are"),
        "GI-GAZE-OFF-SCREEN": ("warning", "most gaze is beyond the screen: is it in screen px?"),
        "GI-UNCOVERED": ("warning", "the tracker did not record all of the time"),
        "GI-SIZE-INFERRED": ("warning", "without a picture, the image's size was worked out from published positions"),
        "GI-PADDED-ODD": ("info", "the image has an odd side, to which its authors added a pixel"),
        "GI-POSITION-MISMATCH": ("warning", "published positions on the image are not those of the screen positions"),
        "GI-ID-TRUNCATED": ("info", "fixations came under a shortened image id and were joined by its beginning"),
        "GI-FIXATION-UNKNOWN": ("warning", "the table of fixations and the gaze number them differently"),
        "GI-BOX": ("warning", "a box is empty or off the image and was left out"),
        "GI-TIME-ORDER": ("warning", "samples whose time does not go up were left out"),
        "GI-PHRASES": ("info", "times are known of phrases only; those of words are spread over them"),
        "GI-WORDS-UNREVIEWED": ("info", "nobody has reviewed the transcript"),
        "GI-WORDS-INVENTED": ("warning", "words were recognised where nobody spoke, and left out"),
        "GI-WORDS-UNPLACED": ("warning", "words of the transcript could not be placed in time"),
        "GI-WORDS-UNSUPPORTED": ("warning", "words without a voice under them, or as nobody speaks, are in no finding"),
        "GI-WORD-TIME": ("warning", "a phrase has an impossible time and was left out"),
        "GI-BIDS-SCREEN": ("warning", "nothing says how large the screen is"),
        "GI-BIDS-UNITS": ("warning", "gaze is in a unit that cannot be turned into px of the screen"),
        "GI-BIDS-ORIGIN": ("info", "gaze did not count from the screen's top left corner; it does now"),
        "GI-BIDS-TIME-UNIT": ("info", "the unit of time is not named, or its steps tell another one, which is taken"),
        "GI-BIDS-EYES": ("warning", "the recordings of the eyes have different times; those of the first are kept"),
        "GI-NO-REPORT": ("warning", "the study's report was not found"),
        "GI-REPORT-SECTIONS": ("info", "the report has neither findings nor an impression under such a heading"),
        "GI-NO-SPLIT": ("info", "the source's split does not name the study"),
        "GI-SPLIT-CONFLICT": ("warning", "the source puts the reading in several splits; it has none of them"),
        "GT-TRACKER-COORDS": ("warning", "the file names impossible screen coordinates"),
        "GT-TRACKER-GAP": ("info", "the tracker's own recording lacks samples"),
        "GT-TRACKER-MM": ("info", "gaze in mm is taken to count from the screen's top left corner"),
        "GT-TRACKER-OUTSIDE": ("warning", "samples stand outside of any recording and were left out"),
        "GT-TRACKER-RATE": ("info", "the file's rate is not that of its time stamps"),
        "GT-TRACKER-ROW": ("warning", "rows that cannot be read were left out"),
        "GT-TRACKER-TIME": ("warning", "samples whose time does not go up were left out"),
        "GT-TRACKER-TIME-DEVICE": ("info", "the tracker's own time is absent in places"),
        "GT-TRACKER-TIME-UNIT": ("info", "the unit of time is not named; its steps tell"),
        "GT-TRACKER-TRUNCATED": ("warning", "the file is cut"),
        "GT-TRACKER-VALIDATION": ("info", "a validation was aborted or cannot be read"),
        "GT-TRACKER-VALIDITY": ("warning", "codes of validity that cannot be read"),
        "GT-TRACKER-VALIDITY-CODES": ("info", "codes of validity are 0 and 1; the one with more gaze counts as good"),
        "GT-TRACKER-WHOLE-MS": ("info", "times were cut to whole ms at 2000 Hz"),
    }
)  # fmt: skip
"""What an ingester noted about its source: code -> severity and message. The quality stage lists them."""

_ENTRY = "source_issues"


def source_issues_entry(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the entry of a reading's provenance that holds what was noted: how often, by code of `SOURCE_ISSUES`."""
    said = " ".join(f"{code}={n}" for code, n in sorted(counts.items()) if n and code in SOURCE_ISSUES)
    return {_ENTRY: said} if said else {}


def source_issues(provenance: Mapping[str, str]) -> dict[str, int]:
    """Return what was noted of a reading's source, by code; unknown codes are left out."""
    pairs = (item.partition("=") for item in provenance.get(_ENTRY, "").split())
    return {code: int(n) for code, _, n in pairs if code in SOURCE_ISSUES and n.isdecimal()}


ISSUE_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        "GQ-DISCARDED": "error",
        "GQ-NO-GAZE": "error",
        "GQ-NO-TRACKER": "warning",
        "GQ-MOUSE-GAZE": "warning",
        "GQ-TOO-SHORT": "error",
        "GQ-TIME-ORDER": "error",
        "GQ-LOSS-SHARE": "error",
        "GQ-LOSS-SHARE-HIGH": "warning",
        "GQ-LOSS-LONG": "error",
        "GQ-LOSS-LONGISH": "warning",
        "GQ-MISSING-SAMPLES": "warning",
        "GQ-RATE": "warning",
        "GQ-ACCURACY": "warning",
        "GQ-ACCURACY-DROP": "warning",
        "GQ-DRIFT": "info",
        "GQ-SENTENCE-LOSS": "warning",
        "GQ-NO-VALIDATION": "info",
        "GQ-NO-DEGREES": "warning",
        "GQ-OFF-IMAGE": "warning",
        "GQ-PANEL": "warning",
        "GQ-DICTATION-OVERLAP": "warning",
        "GQ-NO-WORDS": "info",
        "GQ-LAG-UNMEASURED": "info",
        "GQ-REVIEW-ACCEPTED": "info",
        "GQ-REVIEW-REJECTED": "error",
        **{code: severity for code, (severity, _) in SOURCE_ISSUES.items()},
    }
)
"""Issue code -> severity. The quality stage finds or lists them; ``[quality.severity]`` in the settings overrides."""
