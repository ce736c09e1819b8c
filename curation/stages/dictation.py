"""Stage ``dictation``: words to sentences, and which finding each sentence speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from keyframes.reading import Reading
from keyframes.sentences import link_findings, split_sentences

__all__ = ["DICTATION_STAGE", "DictationStage"]


class DictationStage:
    """Splits the words at full stops, dictated or typed, or at long pauses, and links the findings."""

    name = "dictation"
    tables = ("sentences",)
    code_version = "2"
    depends_on: tuple[str, ...] = ()

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.dictation.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the ``sentences`` table; a reading without words has none."""
        sentences = split_sentences(reading.table("words"), pause_s=context.config.dictation.pause_s)
        sentences = link_findings(sentences, reading.table("findings"))
        return StageOutput(tables={"sentences": sentences}, notes={"n_sentences": sentences.num_rows})


DICTATION_STAGE = DictationStage()
