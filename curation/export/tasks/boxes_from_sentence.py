"""Clue boxes and observation box from sentence: where the reader looked for it, and where it is, all told."""

from __future__ import annotations

from collections.abc import Iterator

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.protocol import make_record
from curation.export.tasks.reading import TaskReading, sentence_text
from curation.export.tasks.record import LeftOut, TaskRecord

__all__ = ["boxes_from_sentence"]


def boxes_from_sentence(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """See the module."""
    if not reading.images:
        yield LeftOut("no picture")
        return
    if not reading.sentences:
        yield LeftOut("no words")
    for number, (sentence_id, sentence) in enumerate(reading.sentences.items()):
        clues, observation = reading.places(sentence_id)
        if observation is None:
            yield LeftOut("no box of the sentence on the picture")
            continue
        yield make_record(
            reading,
            prompts,
            "boxes_from_sentence",
            number=number,
            images=reading.images,
            sentence=sentence_text(sentence["text"]),
            sentence_as_dictated=sentence["text"],
            clues=clues,
            observation=observation,
        )
