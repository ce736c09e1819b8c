"""The stages of curation, in the order in which they are done; export comes after the last."""

from __future__ import annotations

from curation.stages.dictation import DICTATION_STAGE
from curation.stages.events import EVENTS_STAGE
from curation.stages.keyframes import KEYFRAMES_STAGE
from curation.stages.privacy import PRIVACY
from curation.stages.protocol import Stage
from curation.stages.quality import QUALITY_STAGE
from curation.stages.regions import REGIONS_STAGE
from curation.stages.trajectory import TRAJECTORY_STAGE

__all__ = ["STAGES", "stage_named"]

STAGES: tuple[Stage, ...] = (
    QUALITY_STAGE,
    DICTATION_STAGE,
    EVENTS_STAGE,
    REGIONS_STAGE,
    KEYFRAMES_STAGE,
    TRAJECTORY_STAGE,
    PRIVACY,
)
"""A stage comes after those that it depends on."""


def stage_named(name: str) -> Stage:
    """Return a stage by its name. Raises KeyError where there is none."""
    return {stage.name: stage for stage in STAGES}[name]
