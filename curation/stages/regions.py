"""Stage ``regions``: where the anatomical regions of each image are, and which of them each fixation lay on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.regions import region_map
from keyframes.errors import ImageError
from keyframes.reading import Reading
from keyframes.regions.assignment import assign_regions, region_table
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import load_scheme
from keyframes.validation import validation_error_deg

__all__ = ["REGIONS_STAGE", "RegionsStage"]


class RegionsStage:
    """Asks the provider chain for each picture's regions and spreads the fixations over them."""

    name = "regions"
    tables = ("regions", "event_regions")
    code_version = "2"
    depends_on = ("events",)

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.regions.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the region tables. Raises ImageError where an attached picture is gone or cannot be decoded.

        An image whose picture was never attached has no regions; ``notes`` lists it.
        """
        settings = context.config.regions
        scheme = load_scheme(settings.scheme)
        maps: dict[int, RegionMap] = {}
        without: list[int] = []
        for row in reading.table("images").to_pylist():
            index = int(row["image_index"])
            if row["file"] is None:
                without.append(index)
                continue
            path = context.image_path(index)
            if path is None:
                raise ImageError(
                    f"picture {index} of the reading is missing from the store",
                    hint="Ingest the reading again.",
                    record=reading.meta.reading_id,
                )
            grey8 = load_radiograph(path).grey8()
            if grey8.shape != (row["height_px"], row["width_px"]):
                raise ImageError(
                    f"picture {index} is {grey8.shape[1]} x {grey8.shape[0]} px, "
                    f"expected {row['width_px']} x {row['height_px']}",
                    hint="Ingest the reading again with the picture that was read.",
                    record=reading.meta.reading_id,
                )
            maps[index] = region_map(grey8, view_position=row["view_position"] or "")
        measured_deg = validation_error_deg(reading.table("validations"))
        error_deg = settings.error_deg if measured_deg is None else measured_deg
        assigned = assign_regions(
            reading.table("events"), reading.table("gaze"), maps, scheme, error_deg=error_deg
        )
        providers = {str(index): found.provider for index, found in sorted(maps.items())}
        return StageOutput(
            tables={"regions": region_table(maps, scheme), "event_regions": assigned},
            notes={"providers": providers, "images_without_picture": without, "error_deg": error_deg},
        )


REGIONS_STAGE = RegionsStage()
