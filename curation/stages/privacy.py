"""Decide whether a reading may leave the store; what leaves is freed of identifiers at export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config import CurationConfig
from curation.privacy import Identifiers, Redactor
from curation.stages.protocol import StageContext, StageOutput
from gazecapture.files import sha256_of
from gazecapture.radiograph.decode import load_radiograph
from keyframes.reading import Reading

__all__ = ["PRIVACY", "PrivacyStage"]


class PrivacyStage:
    """Holds a reading back whose picture says that it carries burned-in text; counts what will be redacted."""

    name = "privacy"
    tables: tuple[str, ...] = ()
    code_version = "2"
    depends_on = ("quality", "dictation")

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """Return the privacy settings, and what the word lists hold."""
        lists = [sha256_of(path) for path in config.privacy.word_lists]
        return {**config.privacy.model_dump(mode="json"), "word_lists": lists}

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Look at headers and text. Raises ImageError where a picture cannot be read: then nothing is known."""
        indexes = reading.table("images").column("image_index").to_pylist()
        paths = [path for path in map(context.image_path, indexes) if path is not None]
        radiographs = [load_radiograph(path) for path in paths]
        redactor = Redactor(identifiers=Identifiers.of(radiographs), lexicon=context.config.privacy.lexicon())
        texts = [reading.meta.indication, *reading.table("sentences").column("text").to_pylist()]
        notes = {
            "n_words_redacted": sum(redactor.count_in(text) for text in texts),
            "n_pictures": len(paths),
        }
        if any(radiograph.burned_in for radiograph in radiographs):
            return StageOutput(
                notes=notes,
                verdict="held_back",
                reason="GT-BURNED-IN: a picture's header says that text is burned into its pixels",
            )
        return StageOutput(notes=notes)


PRIVACY = PrivacyStage()
