"""Stage ``keyframes``: what was looked at while each sentence was dictated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from keyframes.frames import PARAMETERS, toolkit_keyframes
from keyframes.looks import MAX_EDGE_TOLERANCE_DEG, discarded_share, image_sizes, looks_on_images
from keyframes.reading import Reading
from keyframes.validation import UNVALIDATED_ERROR_DEG, validation_error_deg

__all__ = ["KEYFRAMES_STAGE", "KeyframesStage"]


class KeyframesStage:
    """Makes key frames by the profile asked for; ``toolkit`` works on fixations, with the reader's gaze lead."""

    name = "keyframes"
    tables = ("keyframes",)
    code_version = "2"
    depends_on = ("dictation", "events", "regions")
    gaze_columns = frozenset(
        {"image_index", "px_per_deg_x", "px_per_deg_y", "valid", "x_image_px", "y_image_px"}
    )

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`; ``lead_s`` is the reader's own where one was fitted."""
        settings = config.keyframes
        if settings.profile == "published":
            return settings.model_dump(mode="json", include={"profile", "published"})
        return settings.model_dump(mode="json", exclude={"fit_lead", "published"})

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the ``keyframes`` table; ``notes`` has its parameters and the share of gaze that does not count.

        Raises DataError where the published rules find no image to work on.
        """
        settings = context.config.keyframes
        if settings.profile == "published":
            from keyframes.published import (
                PublishedSwitches,
                published_keyframes,
            )  # only here: every command would wait for it

            switches = settings.published.model_dump()
            made = published_keyframes(
                reading.table("gaze"),
                reading.table("sentences"),
                reading.table("images"),
                events=reading.table("events"),
                switches=PublishedSwitches(**switches),
            )
            return StageOutput(tables={"keyframes": made}, notes={"profile": "published", **switches})
        measured_deg = validation_error_deg(reading.table("validations"))
        error_deg = UNVALIDATED_ERROR_DEG if measured_deg is None else measured_deg
        rules = settings.model_dump(exclude={"fit_lead", "profile", "published"}) | {"error_deg": error_deg}
        if rules["edge_tolerance_deg"] is None:
            rules["edge_tolerance_deg"] = min(error_deg, MAX_EDGE_TOLERANCE_DEG)
        events, gaze, display, images = (
            reading.table(name) for name in ("events", "gaze", "display", "images")
        )
        edge = {name: rules[name] for name in ("error_deg", "edge_tolerance_deg")}
        looks = looks_on_images(events, gaze, display, image_sizes(images), **edge)
        made = toolkit_keyframes(
            events,
            reading.table("sentences"),
            gaze,
            display,
            images,
            event_regions=reading.table("event_regions"),
            findings=reading.table("findings"),
            looks=looks,
            **rules,
        )
        share = discarded_share(events, looks)
        notes = {
            "profile": settings.profile,
            "lead_is_fitted": context.lead_is_fitted,
            "error_is_measured": measured_deg is not None,
            **{name: rules[name] for name in PARAMETERS},
            "discarded_share": share if np.isfinite(share) else None,
        }
        return StageOutput(tables={"keyframes": made}, notes=notes)


KEYFRAMES_STAGE = KeyframesStage()
