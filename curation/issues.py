"""The coded issues that curation may find in a reading, and how grave each is unless the settings say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

__all__ = ["GAZE_DISCARDED", "ISSUE_SEVERITY", "Severity"]

Severity = Literal["ignore", "info", "warning", "error"]
"""ignore: not listed. error: the reading is rejected."""

GAZE_DISCARDED = "gaze_discarded"
"""Entry ``true`` of a reading's provenance: its own authors threw the gaze away; GQ-DISCARDED says so."""

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
        "GQ-NO-VALIDATION": "info",
        "GQ-NO-DEGREES": "warning",
        "GQ-OFF-IMAGE": "warning",
        "GQ-PANEL": "warning",
        "GQ-DICTATION-OVERLAP": "warning",
        "GQ-NO-WORDS": "info",
        "GQ-LAG-UNMEASURED": "info",
    }
)
"""Issue code -> severity. The quality stage finds them; ``[quality.severity]`` in the settings overrides."""
