"""Stage ``events``: fixations, saccades and the rest, detected on the screen and placed on the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curation.config import CurationConfig
from curation.stages.frame import best_frame
from curation.stages.protocol import StageContext, StageOutput
from keyframes.errors import GeometryError
from keyframes.reading import Reading

__all__ = ["EVENTS_STAGE", "EventsStage"]


class EventsStage:
    """Runs the detector; a zoom or a pan never starts or ends an event, because it sees screen px where it can."""

    name = "events"
    tables = ("events",)
    code_version = "1"
    depends_on: tuple[str, ...] = ()
    gaze_columns: frozenset[str] | None = None

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.events.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the ``events`` table. Raises GeometryError where gaze has no scale in degrees."""
        from keyframes.events import detect, on_images  # only here: every command would wait for it

        gaze = reading.table("gaze")
        frame = best_frame(reading)
        if gaze.num_rows and not frame.knows_degrees:
            raise GeometryError(
                "screen size or viewing distance is unknown, so no event can be detected",
                hint="Give the display's size and distance when the reading is recorded or ingested.",
                code="GT-NO-DEGREES",
            )
        valid = gaze.column("valid").to_numpy(zero_copy_only=False)
        events = detect(
            gaze.column("t_ns").to_numpy() / 1e9,
            np.where(valid, frame.x_px, np.nan),
            np.where(valid, frame.y_px, np.nan),
            frame.px_per_deg_x,
            frame.px_per_deg_y,
            method=context.config.events.method,
        )
        notes = {"frame": frame.kind, "method": events.method, "reason": events.reason}
        return StageOutput(tables={"events": on_images(events, gaze)}, notes=notes)


EVENTS_STAGE = EventsStage()
