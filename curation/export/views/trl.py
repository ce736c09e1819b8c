"""View ``trl``: prompt, completion and images, as TRL's SFTTrainer trains on the completion alone.

It knows no video and puts the placeholders of pictures in itself: key frames come as pictures, in order, before the
radiographs, and the prompts have no tags.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from curation.export.read import ShardReader
from curation.export.schema import PICTURE
from curation.export.views.examples import SPLIT_NAMES, Examples, without_media_tags
from curation.export.views.protocol import ViewResult
from curation.export.views.tables import TableWriter
from curation.view_settings import TrlOptions

__all__ = ["TrlView"]

_TURN = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_SCHEMA = pa.schema(
    [
        ("prompt", _TURN),
        ("completion", _TURN),
        ("images", pa.list_(PICTURE)),
        ("record_id", pa.string()),
        ("reading_id", pa.string()),
        ("task", pa.string()),
        ("type", pa.string()),
        ("source", pa.string()),
    ]
)


class TrlView:
    """See the module."""

    name = "trl"
    version = "2"

    def write(self, reader: ShardReader, folder: Path, options: TrlOptions) -> ViewResult:
        """See `View.write`."""
        examples = Examples(reader, options)
        for split in examples.splits:
            with TableWriter(
                folder / "data", SPLIT_NAMES[split], _SCHEMA, rows_per_file=options.rows_per_file
            ) as table:
                for task, record in examples.of(split):
                    prompt = without_media_tags(examples.text(record, record.prompt))
                    answer = examples.text(record, record.answer)
                    table.add(
                        {
                            "prompt": [{"role": "user", "content": prompt}],
                            "completion": [{"role": "assistant", "content": answer}],
                            "images": [
                                {"bytes": shown.content, "path": shown.name}
                                for shown in (*record.video, *record.images)
                            ],
                            "record_id": record.record_id,
                            "reading_id": record.reading_id,
                            "task": task,
                            "type": record.type,
                            "source": record.source,
                        }
                    )
        return examples.result()
