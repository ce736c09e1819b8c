"""Stage ``trajectory``: the order in which regions and letters were inspected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from keyframes.reading import Reading
from keyframes.trajectory import inspection_trajectory

__all__ = ["TRAJECTORY_STAGE", "TrajectoryStage"]


class TrajectoryStage:
    """Joins fixations on one region into visits."""

    name = "trajectory"
    tables = ("trajectory",)
    code_version = "1"
    depends_on = ("events", "regions")

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.trajectory.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the ``trajectory`` table."""
        settings = context.config.trajectory
        visits = inspection_trajectory(
            reading.table("events"),
            reading.table("event_regions"),
            merge_gap_s=settings.merge_gap_s,
            min_dwell_s=settings.min_dwell_s,
        )
        return StageOutput(tables={"trajectory": visits})


TRAJECTORY_STAGE = TrajectoryStage()
