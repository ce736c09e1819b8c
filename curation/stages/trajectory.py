"""Stage ``trajectory``: in which order regions and letters were inspected, how far, and what gaze did at lesions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from keyframes.fixations import Fixations
from keyframes.inspection import inspection_summary, letter_coverage, region_coverage, transitions
from keyframes.lesions import lesion_gaze
from keyframes.reading import Reading
from keyframes.regions.assignment import region_maps
from keyframes.regions.schemes import load_scheme
from keyframes.trajectory import inspection_trajectory
from keyframes.validation import validation_error_deg

__all__ = ["TRAJECTORY_STAGE", "TrajectoryStage"]


class TrajectoryStage:
    """Joins fixations on one region into visits, and measures what they covered."""

    name = "trajectory"
    tables = ("trajectory", "region_coverage", "letter_coverage", "transitions", "inspection", "lesion_gaze")
    code_version = "2"
    depends_on = ("events", "regions")
    gaze_columns = frozenset({"px_per_deg_x", "px_per_deg_y"})

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.trajectory.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the trajectory's tables. Raises SchemaError where a stored region is off."""
        settings = context.config.trajectory
        scheme = load_scheme(context.config.regions.scheme)
        visits = inspection_trajectory(
            reading.table("events"),
            reading.table("event_regions"),
            merge_gap_s=settings.merge_gap_s,
            min_dwell_s=settings.min_dwell_s,
        )
        fixations = Fixations.of(reading.table("events"), reading.table("gaze"))
        sizes = {
            int(row["image_index"]): (int(row["width_px"]), int(row["height_px"]))
            for row in reading.table("images").to_pylist()
        }
        maps = region_maps(reading.table("regions"), sizes)
        measured_deg = validation_error_deg(reading.table("validations"))
        covered = region_coverage(
            fixations,
            maps,
            scheme,
            radius_deg=settings.coverage_radius_deg,
            error_deg=context.config.regions.error_deg if measured_deg is None else measured_deg,
            merge_gap_s=settings.merge_gap_s,
        )
        return StageOutput(
            tables={
                "trajectory": visits,
                "region_coverage": covered,
                "letter_coverage": letter_coverage(
                    visits, fixations, maps, scheme, radius_deg=settings.coverage_radius_deg
                ),
                "transitions": transitions(visits, scheme),
                "inspection": inspection_summary(visits, covered, scheme),
                "lesion_gaze": lesion_gaze(
                    fixations,
                    reading.table("truth"),
                    reading.table("findings"),
                    radius_deg=settings.lesion_radius_deg,
                    decision_dwell_s=settings.decision_dwell_s,
                    merge_gap_s=settings.merge_gap_s,
                ),
            },
            notes={
                "coverage_radius_deg": settings.coverage_radius_deg,
                "lesion_radius_deg": settings.lesion_radius_deg,
                "decision_dwell_s": settings.decision_dwell_s,
            },
        )


TRAJECTORY_STAGE = TrajectoryStage()
