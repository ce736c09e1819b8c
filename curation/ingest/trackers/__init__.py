"""Trackers' own files to Readings: what was shown when comes from a table beside them, or from their messages."""

from __future__ import annotations

from curation.ingest.trackers.ingester import EYELINK_ASC_INGESTER, NEON_INGESTER, TOBII_TSV_INGESTER

__all__ = ["EYELINK_ASC_INGESTER", "NEON_INGESTER", "TOBII_TSV_INGESTER"]
