"""Decide whether a reading may leave the store; what leaves is freed of identifiers at export.

Besides what could identify somebody it holds back gaze that is none: nobody shall train on it unawares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.privacy import Identifiers, Redactor
from curation.stages.gaze_measures import was_read_without_tracker
from curation.stages.protocol import StageContext, StageOutput
from gazecapture.files import sha256_of
from gazecapture.radiograph.decode import Radiograph, load_radiograph
from keyframes.reading import Reading

__all__ = ["PRIVACY", "PrivacyStage"]


class PrivacyStage:
    """Holds a reading back whose picture carries text that nobody looked at, or that was read without an eye tracker.

    Counts what will be redacted.
    """

    name = "privacy"
    tables: tuple[str, ...] = ()
    code_version = "4"
    depends_on = ("quality", "dictation")
    gaze_columns = frozenset({"source"})

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """Return the privacy settings, what the word lists hold, and which stand-ins for gaze may be exported."""
        lists = [sha256_of(path) for path in config.privacy.word_lists]
        return {
            # What the gaze tier takes away it takes at export.
            **config.privacy.model_dump(mode="json", exclude={"gaze_tier"}),
            "word_lists": lists,
            "allow_mouse_gaze": config.export.allow_mouse_gaze,
            "allow_no_gaze": config.export.allow_no_gaze,
        }

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Look at headers, pixels and text. Raises ImageError where a picture cannot be read: nothing is known then.

        ``notes["burned_in"]`` has, for each picture with text, the boxes found and those that a person wants masked;
        null where nobody looked yet.
        """
        settings = context.config.privacy
        indexes = reading.table("images").column("image_index").to_pylist()
        paths = {i: path for i in indexes if (path := context.image_path(i)) is not None}
        radiographs = {i: load_radiograph(path) for i, path in paths.items()}
        redactor = Redactor(identifiers=Identifiers.of(radiographs.values()), lexicon=settings.lexicon())
        texts = [reading.meta.indication, *reading.table("sentences").column("text").to_pylist()]
        found = {
            i: _text_on(radiograph) for i, radiograph in radiographs.items() if settings.images == "include"
        }
        masks = {i: context.decisions.burned_in(i) for i in found}
        notes = {
            "n_words_redacted": sum(redactor.count_in(text) for text in texts),
            "n_pictures": len(paths),
            "burned_in": {
                str(i): {"found": boxes, "masked": masks[i]}
                for i, boxes in found.items()
                if boxes is not None or masks[i]
            },
        }
        reasons = _no_eyes(reading, context.config)
        unseen = [i for i, boxes in found.items() if boxes is not None and masks[i] is None]
        if unseen:
            shown = ", ".join(map(str, unseen))
            reasons.append(
                f"GT-BURNED-IN: picture {shown} seems to carry text in its pixels; a person must look"
            )
        if reasons:
            return StageOutput(notes=notes, verdict="held_back", reason="; ".join(reasons))
        return StageOutput(notes=notes)


def _no_eyes(reading: Reading, config: CurationConfig) -> list[str]:
    """Say why the gaze is none that may be exported; nothing where it is some."""
    sources = pc.unique(reading.table("gaze").column("source")).to_pylist()
    if "mouse" in sources and not config.export.allow_mouse_gaze:
        return ["GT-MOUSE-GAZE: its gaze is the mouse cursor; [export] allow_mouse_gaze = true lets it out"]
    if was_read_without_tracker(reading.meta) and not config.export.allow_no_gaze:
        return [
            "GT-NO-TRACKER: it was read without an eye tracker; [export] allow_no_gaze = true lets it out"
        ]
    return []


def _text_on(radiograph: Radiograph) -> list[tuple[int, int, int, int]] | None:
    """Return the boxes of text in a picture's pixels; none where only its header says so; None for a clean one."""
    from gazecapture.radiograph.burned_in import (
        find_burned_in_text,
    )  # only here: every command would wait for it

    boxes = [line.box for line in find_burned_in_text(radiograph.grey8())]
    return boxes if boxes or radiograph.burned_in else None


PRIVACY = PrivacyStage()
