"""The schema as Hugging Face `datasets` wants it in a Parquet footer, so that pictures show as pictures.

Source: `datasets` stores its features as JSON under the key ``huggingface``; an ``Image`` is a struct of bytes and
path whose feature has ``_type`` "Image".
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from curation.export.schema import PICTURE

__all__ = ["huggingface_metadata"]

_DTYPES = {pa.float64(): "float64", pa.int64(): "int64", pa.int32(): "int32", pa.int16(): "int16",
           pa.bool_(): "bool", pa.string(): "string", pa.binary(): "binary"}  # fmt: skip


def huggingface_metadata(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return the footer entry for ``schema``."""
    features = {field.name: _feature(field.type) for field in schema}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def _feature(kind: pa.DataType) -> Any:
    if kind == PICTURE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    return {"dtype": _DTYPES[kind], "_type": "Value"}
