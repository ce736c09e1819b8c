"""Readings on disk: one folder each, source tables as Parquet, every stage's tables in a folder of their own.

::

    STORE/pseudonym.key                            32 random bytes, made once, never copied
    STORE/hashes.json                              of annotations and models; may be deleted
    STORE/{reading_id}/reading.json                the scalars, the source hash
    STORE/{reading_id}/{table}.parquet             what the ingester gave
    STORE/{reading_id}/images/{image_index}{ext}   the pictures as they came
    STORE/{reading_id}/decisions.jsonl             what people decided in review, append-only
    STORE/{reading_id}/stages/{stage}/{table}.parquet + stage.json

Folders appear whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import secrets
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from gazecapture.files import (
    as_tool_error,
    atomic_path,
    claim_output_folder,
    create_file,
    make_private_folder,
    sha256_of,
    write_json_atomically,
)
from keyframes.errors import DataError, GazeToolError, SchemaError, UsageError
from keyframes.reading import SCHEMA_VERSION, SOURCE_TABLES, Reading, ReadingMeta

__all__ = ["DECISIONS_FILE", "KeyedHash", "Store"]

DECISIONS_FILE = "decisions.jsonl"
_KEY_FILE = "pseudonym.key"
_KEY_BYTES = 32
_HASHES_FILE = "hashes.json"
_RECORD = "stage.json"
_ID_HEX_DIGITS = 16
"""64 bits: a collision among 100,000 readings has a chance below 1e-9."""
_SINCE_LATER = frozenset({"qa"})
"""Source tables that stores of earlier minor versions do not have; they are empty there."""
_MANY_ROWS = 1000
"""From here on what is stored is mostly samples, which a dictionary of distinct values cannot shorten. A smaller table
is stored as it is: to begin packing each of its columns takes longer than all else, and would save 2 % of a reading."""
_ENCODINGS = MappingProxyType({pa.float64(): "BYTE_STREAM_SPLIT", pa.int64(): "DELTA_BINARY_PACKED"})
"""Of samples: written in a quarter of the time, read in two thirds of it, 40 % smaller than by dictionaries."""
_META = TypeAdapter(ReadingMeta)


class KeyedHash:
    """Turns ids into pseudonyms that nobody without the key can make or check."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, *parts: str) -> str:
        """Return 16 hex digits for ``parts``; the same parts and key give the same digits."""
        message = b"\0".join(part.encode() for part in parts)
        return hmac.digest(self._key, message, "sha256").hex()[:_ID_HEX_DIGITS]


class Store:
    """A folder of Readings; use `create` or `open`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make a store, or open the one that is there. Raises UsageError for a foreign folder."""
        claim_output_folder(root, kind="store")
        key = root / _KEY_FILE
        if not key.exists():
            create_file(
                key, secrets.token_bytes(_KEY_BYTES)
            )  # unless another process makes it in this moment
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open a store. Raises UsageError where ``root`` is not one."""
        if not (root / _KEY_FILE).is_file():
            raise UsageError(
                f"{root} is not a store",
                hint="`gazecurate ingest ... --store DIR` makes one.",
                path=root,
                code="GT-NOT-A-STORE",
            )
        return cls(root)

    @property
    def hashes_file(self) -> Path:
        """Where hashes of files that the settings name are kept (`gazecapture.radiograph.annotations.hashes`)."""
        return self.root / _HASHES_FILE

    @property
    def pseudonym_key(self) -> bytes:
        """The key of every pseudonym of this store. Raises DataError where it is damaged."""
        key = (self.root / _KEY_FILE).read_bytes()
        if len(key) != _KEY_BYTES:
            raise DataError(
                f"{_KEY_FILE} holds {len(key)} bytes, expected {_KEY_BYTES}",
                hint="Restore it from a backup; a new key would give every reading a new id.",
                path=self.root,
            )
        return key

    def keyed_hash(self, *parts: str) -> str:
        """Return the pseudonym of ``parts`` under this store's key."""
        return KeyedHash(self.pseudonym_key)(*parts)

    def reading_ids(self) -> list[str]:
        """Return the ids of all readings, sorted."""
        return sorted(
            p.parent.name for p in self.root.glob("*/reading.json") if not p.parent.name.startswith(".")
        )

    def has(self, reading_id: str) -> bool:
        """Say whether the reading is here."""
        return (self.folder(reading_id) / "reading.json").is_file()

    def folder(self, reading_id: str) -> Path:
        """Return the reading's folder (which need not exist). Raises UsageError for what is no id."""
        if not reading_id.isalnum():
            raise UsageError("a reading id has letters and digits only", record=reading_id)
        return self.root / reading_id

    def add(self, reading: Reading, images: Mapping[int, Path]) -> None:
        """Write a reading and copies of its pictures; a reading of the same id is replaced with its stages.

        What people decided about it stays. The ``file`` column of its ``images`` table is set here.
        """
        target = self.folder(reading.meta.reading_id)
        with atomic_path(target) as scratch:
            make_private_folder(scratch)
            names: dict[int, str] = {}
            for index, source in sorted(images.items()):
                names[index] = f"{index}{source.suffix.lower()}"
                make_private_folder(scratch / "images")
                shutil.copyfile(source, scratch / "images" / names[index])
            table = reading.table("images")
            files = pa.array([names.get(i) for i in table.column("image_index").to_pylist()], pa.string())
            table = table.set_column(table.column_names.index("file"), table.schema.field("file"), files)
            reading = reading.with_tables(images=table)
            for name in SOURCE_TABLES:
                _write_table(scratch / f"{name}.parquet", reading.table(name))
            content = {
                "schema_version": SCHEMA_VERSION,
                "meta": _META.dump_python(reading.meta, mode="json"),
                "source_hash": _source_hash(scratch, names),
            }
            decided = target / DECISIONS_FILE
            if decided.is_file():  # people's work outlives a new ingest
                shutil.copyfile(decided, scratch / DECISIONS_FILE)
            write_json_atomically(scratch / "reading.json", content)

    def load(
        self,
        reading_id: str,
        *,
        only: Collection[str] | None = None,
        gaze_columns: Collection[str] | None = None,
    ) -> Reading:
        """Return the reading with its source tables and those of every finished stage.

        only         : names of the tables to read, for who needs few of many readings; the others are as if they were
                       not here.
        gaze_columns : of table ``gaze``, those to read, ``t_ns`` always among them; its samples are most of a reading.

        Raises UsageError where it is not here, SchemaError where it is damaged or of a newer major version.
        """
        folder = self.folder(reading_id)
        meta = self.meta(reading_id)
        paths = {name: folder / f"{name}.parquet" for name in SOURCE_TABLES}
        paths = {name: path for name, path in paths.items() if name not in _SINCE_LATER or path.exists()}
        for record in sorted(folder.glob(f"stages/*/{_RECORD}")):
            paths |= {path.stem: path for path in sorted(record.parent.glob("*.parquet"))}
        if only is not None:
            paths = {name: path for name, path in paths.items() if name in only}
        columns = {} if gaze_columns is None else {"gaze": frozenset(gaze_columns) | {"t_ns"}}
        tables = {}
        for name, path in paths.items():
            try:
                tables[name] = _read_table(path, columns.get(name))
            except (OSError, pa.ArrowException) as error:
                raise SchemaError(
                    f"table {name!r} of the reading cannot be read",
                    hint="Ingest the reading again.",
                    path=path,
                    record=reading_id,
                ) from error
        return Reading.build(meta, tables, in_part=columns)

    def meta(self, reading_id: str) -> ReadingMeta:
        """Return the reading's scalars. Raises as `load` does."""
        return self.head(reading_id)[0]

    def head(self, reading_id: str) -> tuple[ReadingMeta, str]:
        """Return the reading's scalars and its source hash, from one look at its head. Raises as `load` does."""
        content = self._content(reading_id)
        try:
            return _META.validate_python(content["meta"]), str(content["source_hash"])
        except (ValidationError, KeyError) as error:
            raise SchemaError(
                "reading.json is damaged", path=self.folder(reading_id), record=reading_id
            ) from error

    def drop_links(self, reading_ids: Collection[str]) -> None:
        """Take out of every other reading that it repeats one of these, or was added to one."""
        for reading_id in self.reading_ids():
            try:
                content = self._content(reading_id)
                meta = content["meta"]
                said = {name: value for name, value in meta["provenance"].items() if value not in reading_ids}
                first = "" if meta["repeat_of"] in reading_ids else meta["repeat_of"]
            except (
                DataError,
                KeyError,
                TypeError,
                AttributeError,
            ):  # a damaged reading: no command reads its names
                continue
            if (said, first) != (meta["provenance"], meta["repeat_of"]):
                meta = {**meta, "provenance": said, "repeat_of": first}
                write_json_atomically(self.folder(reading_id) / "reading.json", {**content, "meta": meta})

    def image_path(self, reading_id: str, image_index: int) -> Path | None:
        """Return the stored picture, or None where none is attached."""
        found = sorted(self.folder(reading_id).glob(f"images/{int(image_index)}.*"))
        return found[0] if found else None

    def source_hash(self, reading_id: str) -> str:
        """Return the hash over the reading's source tables and pictures, as taken when it was added."""
        return str(self._content(reading_id)["source_hash"])

    def check_source(self, reading_id: str) -> None:
        """Hash the reading's source tables and pictures anew.

        Raises SchemaError (GT-SOURCE-CHANGED) where they are not those that were added.
        """
        folder = self.folder(reading_id)
        pictures = {path.stem: path.name for path in folder.glob("images/*")}
        names = {int(stem): name for stem, name in pictures.items() if stem.isdecimal()}
        try:
            found = _source_hash(folder, names)
        except OSError:
            found = ""
        if found != self.source_hash(reading_id):
            raise SchemaError(
                "the reading's tables or pictures are not those that were ingested",
                hint="Ingest the reading again.",
                path=folder,
                record=reading_id,
                code="GT-SOURCE-CHANGED",
            )

    def write_stage(
        self, reading_id: str, stage: str, tables: Mapping[str, pa.Table], record: Mapping[str, Any]
    ) -> None:
        """Replace one stage's folder by ``tables`` and ``record`` (as stage.json), whole or not at all."""
        make_private_folder(self.folder(reading_id) / "stages")
        with atomic_path(self._stage_folder(reading_id, stage)) as scratch:
            make_private_folder(scratch)
            for name, table in tables.items():
                _write_table(scratch / f"{name}.parquet", table)
            write_json_atomically(scratch / _RECORD, dict(record))

    def stage_record(self, reading_id: str, stage: str) -> dict[str, Any] | None:
        """Return what `write_stage` recorded, or None where the stage has not finished."""
        try:
            content = json.loads(_bytes_of(f"{self.folder(reading_id)}/stages/{stage}/{_RECORD}"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, RecursionError):
            return None  # a damaged record is a stage to be done again
        return content if isinstance(content, dict) else None

    def record_hashes(self, reading_id: str) -> list[str]:
        """Return the SHA-256 of the record of every stage that has finished, in order of their names."""
        stages = self.folder(reading_id) / "stages"
        found = []
        for stage in sorted(path.name for path in stages.iterdir()) if stages.is_dir() else ():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found.append(hashlib.sha256(_bytes_of(f"{stages}/{stage}/{_RECORD}")).hexdigest())
        return found

    def drop_stage(self, reading_id: str, stage: str) -> None:
        """Remove one stage's results."""
        shutil.rmtree(self._stage_folder(reading_id, stage), ignore_errors=True)

    def _stage_folder(self, reading_id: str, stage: str) -> Path:
        return self.folder(reading_id) / "stages" / stage

    def _content(self, reading_id: str) -> dict[str, Any]:
        path = self.folder(reading_id) / "reading.json"
        try:
            content = json.loads(_bytes_of(path))
            version, _ = str(content["schema_version"]), str(content["source_hash"])
        except FileNotFoundError:
            raise UsageError(
                "the store has no such reading", path=self.root, record=reading_id, code="GT-NO-READING"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise SchemaError("reading.json is damaged", path=path, record=reading_id) from error
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise SchemaError(
                f"reading format {version}, this tool reads {SCHEMA_VERSION}",
                hint="Use the version of the tool that wrote it, or a newer one.",
                path=path,
            )
        return dict(content)


def _bytes_of(path: str | Path) -> bytes:
    """Read a small file; planning asks for ten of each reading, and `pathlib` takes as long again as that."""
    with open(path, "rb", buffering=0) as handle:  # noqa: PTH123
        return handle.read()


def _read_table(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """Read one file by itself: looking for a data set around it and threads cost more than its columns do."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=None if columns is None else sorted(columns), use_threads=False)


def _write_table(path: Path, table: pa.Table) -> None:
    packing: dict[str, Any] = {"compression": "none", "use_dictionary": False}
    if table.num_rows >= _MANY_ROWS:
        encodings = {field.name: _ENCODINGS.get(field.type) for field in table.schema}
        encodings = {name: encoding for name, encoding in encodings.items() if encoding}
        packing = {
            "compression": "zstd",
            "column_encoding": encodings or None,
            "use_dictionary": [name for name in table.column_names if name not in encodings],
        }
    try:
        # No statistics: nobody asks for a part of a table's rows.
        pq.write_table(table, path, write_page_checksum=True, write_statistics=False, **packing)
    except OSError as error:
        raise as_tool_error(error, path, "writing a table") from error
    except pa.ArrowException as error:
        raise GazeToolError(f"table cannot be written: {error}", path=path) from error


def _source_hash(folder: Path, image_names: Mapping[int, str]) -> str:
    digest = hashlib.sha256()
    for name in SOURCE_TABLES:
        path = folder / f"{name}.parquet"
        if name not in _SINCE_LATER or path.exists():
            digest.update(sha256_of(path).encode())
    for _, name in sorted(image_names.items()):
        digest.update(sha256_of(folder / "images" / name).encode())
    return digest.hexdigest()
