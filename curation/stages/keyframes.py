"""Stage ``keyframes``: what was looked at while each sentence was dictated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from keyframes.frames import toolkit_keyframes
from keyframes.reading import Reading

__all__ = ["KEYFRAMES_STAGE", "KeyframesStage"]


class KeyframesStage:
    """Makes key frames by the profile ``toolkit``: from fixations, with the reader's gaze lead."""

    name = "keyframes"
    tables = ("keyframes",)
    code_version = "1"
    depends_on = ("dictation", "events")

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.keyframes.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the ``keyframes`` table."""
        settings = context.config.keyframes
        made = toolkit_keyframes(
            reading.table("events"),
            reading.table("sentences"),
            reading.table("gaze"),
            reading.table("display"),
            reading.table("images"),
            lead_s=context.reader_lead_s,
            cluster_radius_deg=settings.cluster_radius_deg,
            min_dwell_s=settings.min_dwell_s,
            box_share=settings.box_share,
            silent_s=settings.silent_s,
            min_silent_s=settings.min_silent_s,
        )
        return StageOutput(tables={"keyframes": made}, notes={"lead_s": context.reader_lead_s})


KEYFRAMES_STAGE = KeyframesStage()
