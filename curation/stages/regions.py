"""Stage ``regions``: where the anatomical regions of each image are, and which of them each fixation lay on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from curation.config import CurationConfig
from curation.region_settings import RegionsConfig, SegmenterConfig
from curation.stages.protocol import StageContext, StageOutput
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.film import Film
from keyframes.errors import ImageError
from keyframes.reading import Reading
from keyframes.regions.assignment import assign_regions, region_table
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import Scheme
from keyframes.validation import validation_error_deg

if TYPE_CHECKING:
    from gazecapture.radiograph.regions import RegionProvider
    from gazecapture.radiograph.segmenter import OnnxSegmenter

__all__ = ["REGIONS_STAGE", "RegionsStage"]

ATLAS_BODY_PARTS = ("chest", "")
"""Schemes for which the built-in atlas is asked: those of the chest, and those that do not say."""


class RegionsStage:
    """Asks the provider chain for each picture's regions and spreads the fixations over them."""

    name = "regions"
    tables = ("regions", "event_regions")
    code_version = "4"
    depends_on = ("events",)
    gaze_columns = frozenset({"px_per_deg_x", "px_per_deg_y"})

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.regions.inputs()

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the region tables.

        An image of which no provider knows a region of the scheme has none, and its fixations lie in none; ``notes``
        lists it. Raises ImageError where an attached picture is gone or cannot be decoded, ConfigError, SchemaError or
        GeometryError where an annotation, a model or a decision is off or belongs to another picture.
        """
        from gazecapture.radiograph.regions import (
            regions_of_film,
        )  # only here: every command would wait for it

        settings = context.config.regions
        scheme = settings.load_scheme()
        providers = _providers(settings, scheme)
        maps: dict[int, RegionMap] = {}
        without_picture: list[int] = []
        not_in_scheme: set[str] = set()
        rows = reading.table("images").to_pylist()
        for row in rows:
            index = int(row["image_index"])
            film = _film(reading, row, context)
            if film.grey8 is None:
                without_picture.append(index)
            adjusted = context.decisions.region_boxes(index, width_px=film.width_px, height_px=film.height_px)
            drawn = adjusted.as_map(width_px=film.width_px, height_px=film.height_px)
            found = RegionMap.merged(
                known for known in (drawn, regions_of_film(film, providers)) if known is not None
            )
            if found is None:
                continue
            kept = {n: r for n, r in found.regions.items() if n in scheme and n not in adjusted.absent}
            not_in_scheme |= found.regions.keys() - scheme.regions.keys()
            if kept:
                maps[index] = replace(found, regions=MappingProxyType(kept))
        measured_deg = validation_error_deg(reading.table("validations"))
        error_deg = settings.error_deg if measured_deg is None else measured_deg
        assigned = assign_regions(
            reading.table("events"), reading.table("gaze"), maps, scheme, error_deg=error_deg
        )
        return StageOutput(
            tables={"regions": region_table(maps, scheme), "event_regions": assigned},
            notes={
                "scheme": scheme.name,
                "providers": {str(index): _providers_of(found) for index, found in sorted(maps.items())},
                "regions_not_in_scheme": sorted(not_in_scheme),
                "images_without_picture": without_picture,
                "images_without_regions": [
                    row["image_index"] for row in rows if row["image_index"] not in maps
                ],
                "error_deg": error_deg,
            },
        )


def _providers(settings: RegionsConfig, scheme: Scheme) -> tuple[RegionProvider, ...]:
    """Return the configured providers, the surest first; a person's boxes come before all of them."""
    from gazecapture.radiograph.annotations.catalogue import (
        open_annotations,
    )  # only here: every command would wait for it
    from gazecapture.radiograph.regions import from_atlas

    chain: list[RegionProvider] = []
    if settings.annotations:
        chain.append(open_annotations([entry.source() for entry in settings.annotations]))
    if settings.segmenter is not None:
        chain.append(_segmenter(settings.segmenter, settings.segmenter.model_hash()))
    if scheme.body_part in ATLAS_BODY_PARTS:
        chain.append(from_atlas)
    return tuple(chain)


@lru_cache(maxsize=1)
def _segmenter(config: SegmenterConfig, model_hash: str) -> OnnxSegmenter:
    """Return the segmenter, loaded once per process."""
    from gazecapture.radiograph.segmenter import OnnxSegmenter

    return OnnxSegmenter(config.settings(), model_hash=model_hash)


def _film(reading: Reading, row: Mapping[str, Any], context: StageContext) -> Film:
    """Return one image of the reading with its picture, where it is attached, and all that it may be known by."""
    film = Film(
        width_px=row["width_px"],
        height_px=row["height_px"],
        sha256=row["sha256"],
        ids=frozenset({row["public_dicom_id"] or ""}) - {""},
        view_position=row["view_position"] or "",
        chest_box=tuple(row["chest_box"]) if row.get("chest_box") else None,
    )
    if row["file"] is None:
        return film
    index = int(row["image_index"])
    path = context.image_path(index)
    if path is None:
        raise ImageError(
            f"picture {index} of the reading is missing from the store",
            hint="Ingest the reading again.",
            record=reading.meta.reading_id,
        )
    radiograph = load_radiograph(path)
    if (radiograph.width_px, radiograph.height_px) != (film.width_px, film.height_px):
        raise ImageError(
            f"picture {index} is {radiograph.width_px} x {radiograph.height_px} px, "
            f"expected {film.width_px} x {film.height_px}",
            hint="Ingest the reading again with the picture that was read.",
            record=reading.meta.reading_id,
        )
    known = film.also_known_as(frozenset({radiograph.sop_uid}) - {""})
    return replace(known, grey8=radiograph.grey8(), body_part=radiograph.body_part)


def _providers_of(found: RegionMap) -> dict[str, int]:
    """Return how many regions each provider gave."""
    return dict(sorted(Counter(map(found.provider_of, found.regions)).items()))


REGIONS_STAGE = RegionsStage()
