"""Stage ``dictation``: words to sentences, and which finding each sentence speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.stages.protocol import StageContext, StageOutput
from keyframes.reading import Reading
from keyframes.sentences import label_sentences, link_findings, split_sentences, supported_texts

__all__ = ["DICTATION_STAGE", "DictationStage"]


class DictationStage:
    """Splits the words at full stops, dictated or typed, or at long pauses; labels sentences and links findings.

    Words come with the reading: `curation.dictation` makes them of a voice when a session is ingested. Words without
    support are in the text and in no finding.
    """

    name = "dictation"
    tables = ("sentences",)
    code_version = "3"
    depends_on: tuple[str, ...] = ()
    gaze_columns: frozenset[str] = frozenset()

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return config.dictation.model_dump(mode="json")

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Make the ``sentences`` table; a reading without words has none."""
        words, pause_s = reading.table("words"), context.config.dictation.pause_s
        supported = supported_texts(words, pause_s=pause_s)
        sentences = label_sentences(split_sentences(words, pause_s=pause_s), supported)
        sentences = link_findings(sentences, reading.table("findings"), supported=supported)
        notes = {
            "n_sentences": sentences.num_rows,
            "n_unsupported": pc.sum(pc.invert(words["supported"])).as_py() or 0,
        }
        return StageOutput(tables={"sentences": sentences}, notes=notes)


DICTATION_STAGE = DictationStage()
