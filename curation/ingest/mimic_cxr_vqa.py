"""Format ``mimic-cxr-vqa``: MIMIC-CXR-VQA 1.0.0 (Bae et al. 2023), questions about pictures with their answers.

::

    SOURCE/{train,valid,test}.json      lists of split, subject_id, study_id, image_id, image_path, question,
                                        semantic_type, content_type, answer (a list)

also in ``SOURCE/dataset`` and ``SOURCE/MIMIC-CXR-VQA/dataset``. One reading per picture, all its pairs in table ``qa``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.ingest.corpus import CODE, CorpusImage, CorpusIngester, Record, corpus_reading
from curation.ingest.csv_files import malformed
from curation.ingest.json_stream import stream_items
from curation.ingest.protocol import Ingested
from gazecapture.store import KeyedHash
from keyframes.errors import UsageError
from keyframes.reading import QA

__all__ = ["MimicCxrVqaIngester"]

_FOLDERS = ("", "dataset", "MIMIC-CXR-VQA/dataset", "mimiccxrvqa/dataset")
_SPLITS = ("train", "valid", "test")
NO_ANSWER = "none"
"""Answer to a question for a list of things of which the picture has none: the published answer is an empty list."""
_Text = Annotated[str, Field(max_length=2000)]
_Name = Annotated[str, Field(max_length=64)]


class _Pair(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    split: _Name = ""
    subject_id: _Name
    study_id: _Name
    image_id: _Name
    image_path: _Text = ""
    question: Annotated[str, Field(min_length=1, max_length=2000)]
    semantic_type: _Name = ""
    content_type: _Name = ""
    answer: Annotated[list[_Text], Field(max_length=200)] | _Text


@dataclass(frozen=True, slots=True, kw_only=True)
class MimicCxrVqaIngester(CorpusIngester):
    """Reads the pairs of all splits."""

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return "mimic-cxr-vqa"

    def find(self, source: Path) -> list[Path]:
        """Return the folder of the files. See `curation.ingest.protocol.Ingester.find`."""
        for folder in (source / name for name in _FOLDERS):
            if any((folder / f"{split}.json").is_file() for split in _SPLITS):
                return [folder]
        what = "holds no train.json, valid.json or test.json" if source.is_dir() else "is no folder"
        raise UsageError(f"{source} {what}", path=source, code="GT-NOT-MIMIC-CXR-VQA")

    def records(self, unit: Path, refuse: Callable[[int | str, str], None]) -> Iterator[tuple[str, Record]]:
        """See `CorpusIngester.records`."""
        for split in _SPLITS:
            path = unit / f"{split}.json"
            if not path.is_file():
                continue
            for number, item in enumerate(stream_items(path, code=CODE)):
                try:
                    pair = _Pair.model_validate(item)
                except ValidationError:  # its own text quotes what was asked
                    refuse(
                        f"{split} {number}", "an entry is no question with an answer and its picture's ids"
                    )
                    continue
                yield pair.image_id, {**pair.model_dump(), "split": pair.split or split}

    def reading(self, key: str, records: Sequence[Record], unit: Path, pseudonym: KeyedHash) -> Ingested:
        """See `CorpusIngester.reading`."""
        owners = {(row["subject_id"], row["study_id"]) for row in records}
        if len(owners) > 1:
            malformed("a picture is of several studies", unit, record=key, code=CODE)
        ((subject_id, study_id),) = owners
        image = CorpusImage.of(dicom_id=key, subject_id=subject_id, study_id=study_id)
        paths = {row["image_path"].rpartition(".")[0] for row in records} - {""}
        if any(not image.file.endswith(path.removeprefix("files/")) for path in paths):
            malformed("a picture's path is not that of its ids", unit, record=key, code=CODE)
        splits = {row["split"] for row in records}
        issues: Counter[str] = Counter({"GI-SPLIT-CONFLICT": int(len(splits) > 1)})
        pairs = pa.Table.from_pylist([_row(row) for row in records], schema=QA)
        return corpus_reading(
            self.name,
            key,
            [image],
            folder=self.images or unit,
            pseudonym=pseudonym,
            issues=issues,
            split=splits.pop() if len(splits) == 1 else "",
            tables=lambda _index, _images: {"qa": pairs},
        )


def _row(pair: Record) -> dict[str, Any]:
    answers = [pair["answer"]] if isinstance(pair["answer"], str) else pair["answer"]
    kinds = (pair["semantic_type"], pair["content_type"])
    return {
        "question": " ".join(pair["question"].split()),
        "answer": ", ".join(" ".join(answer.split()) for answer in answers) or NO_ANSWER,
        "type": "_".join(kind for kind in kinds if kind) or "other",
        "source": "mimic-cxr-vqa",
    }
