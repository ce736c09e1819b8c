"""Transcripts of other programs: one importer per family, found by the file's name and content.

What is wrong with a file is a SchemaError (GT-TRANSCRIPT) that quotes nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from curation.dictation.importers.cloud import read_azure, read_google
from curation.dictation.importers.parts import CODE, MAX_BYTES, Importer, parse_json
from curation.dictation.importers.plain import read_plain
from curation.dictation.importers.subtitles import read_srt, read_vtt
from curation.dictation.importers.whisperx import read_whisperx
from curation.dictation.words import Transcript
from gazecapture.files import as_tool_error
from keyframes.errors import SchemaError

__all__ = ["IMPORTERS", "SUFFIXES", "read_transcript"]

IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        "whisperx": read_whisperx,
        "webvtt": read_vtt,
        "srt": read_srt,
        "google": read_google,
        "azure": read_azure,
        "text": read_plain,
    }
)
"""Name of the format -> its reader."""
SUFFIXES = (".json", ".vtt", ".srt", ".txt")
_BY_SUFFIX: Mapping[str, str] = MappingProxyType({".vtt": "webvtt", ".srt": "srt", ".txt": "text"})
_BY_KEY: Mapping[str, str] = MappingProxyType(
    {
        "segments": "whisperx",
        "results": "google",
        "response": "google",
        "recognizedPhrases": "azure",
        "NBest": "azure",
    }
)
"""Key of a JSON file's outermost object -> its format."""


def read_transcript(path: Path, *, format_name: str | None = None) -> Transcript:
    """Return what a file says was said.

    format_name : of `IMPORTERS`; by default as the file's suffix and, for JSON, its keys tell.

    Raises SchemaError (GT-TRANSCRIPT) where the file is too large, of no known format, or does not hold what its format
    must.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise as_tool_error(error, path, "reading a transcript") from error
    if len(content) > MAX_BYTES:
        raise SchemaError(f"it has more than {MAX_BYTES} bytes", path=path, code=CODE)
    try:
        return IMPORTERS[format_name or _format_of(path, content)](content)
    except SchemaError as error:
        raise SchemaError(error.message, path=path, record=error.record, hint=error.hint, code=CODE) from None


def _format_of(path: Path, content: bytes) -> str:
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix == ".json":
        whole = parse_json(content)
        keys = whole if isinstance(whole, dict) else {}
        found = next((name for key, name in _BY_KEY.items() if key in keys), None)
        if found is not None:
            return found
    raise SchemaError(
        f"no transcript of a known format (known: {', '.join(IMPORTERS)})",
        hint=f"Give a file that ends in {', '.join(SUFFIXES)}; docs/dictation.md says what each must hold.",
        code=CODE,
    )
