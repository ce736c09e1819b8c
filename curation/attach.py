"""Give a dataset that came without its pictures the pictures that its recipient has, checked by hash.

The dataset names each picture by its public id, where the source has one, and by a hash salted with a value of the
dataset's own (`curation.export.pictures.salted_sha256`). What is written is scanned as an export is, and takes the old
dataset's place in one step. Key frames are not painted again: that takes the samples, which stay with the lab.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.config import ExportConfig, ViewsConfig, settings_hash
from curation.export.dataset_views import VIEWS_FOLDER, listed_files, requested_views, write_views
from curation.export.hdf5_shard import read_hdf5
from curation.export.parquet_shard import read_parquet
from curation.export.phash import perceptual_hash
from curation.export.pictures import encode_png, salted_sha256, shrink
from curation.export.scan import scan_output
from curation.export.shard_files import open_shard
from curation.export.switch import MANIFEST, complete_switch, manifest_of, staging_folder, switch
from curation.privacy import Identifiers
from gazecapture.files import claim_output_folder, make_private_folder, sha256_of, write_json_atomically
from gazecapture.radiograph.burned_in import find_burned_in_text
from gazecapture.radiograph.decode import Radiograph, load_radiograph
from keyframes.errors import ImageError, PrivacyError, UsageError

__all__ = ["AttachSummary", "attach_images"]

_SUFFIXES = frozenset({".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_SIZES = ("picture_max_side_px", "row_group_mib", "row_group_rows")
"""Settings of the export by which the pictures are written."""
_REWRITTEN = frozenset({"readings", "hdf5", VIEWS_FOLDER, MANIFEST})


@dataclass(slots=True, kw_only=True)
class AttachSummary:
    """What became of the pictures that the dataset lacks."""

    n_attached: int = 0
    n_missing: int = 0
    """No file with such pixels is there."""
    held_back: list[str] = field(default_factory=list)
    """``reading id, picture``: text seems to stand in the pixels, so that nobody knows what it says."""


@dataclass(slots=True)
class _Left:
    """What the attached files hold that must not get into the dataset."""

    identifiers: dict[str, Identifiers] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)


def attach_images(
    dataset: Path, folder: Path, *, progress: Callable[[int, int], None] | None = None
) -> AttachSummary:
    """Put the pictures that lie anywhere in ``folder`` into a dataset's rows and write its views again.

    Raises UsageError where the folder holds no dataset, or one that lacks no picture, and PrivacyError where the scan
    finds something; then nothing has changed.
    """
    claim_output_folder(dataset, kind="dataset")
    complete_switch(dataset)
    manifest = manifest_of(dataset)
    salt = str(manifest.get("picture_salt") or "")
    if not salt:
        raise UsageError(
            "the dataset has no salted hashes of pictures",
            hint="Such a dataset comes from `gazecurate export --without-images`.",
            path=dataset,
            code="GT-NOTHING-TO-ATTACH",
        )
    said = manifest["config"]["export"]
    export = ExportConfig.model_validate({name: said[name] for name in _SIZES})
    pictures, summary, left = _Pictures(folder, salt), AttachSummary(), _Left()
    staging = staging_folder(dataset)
    try:
        for name in sorted({path.name for path in dataset.iterdir()} - _REWRITTEN):
            if not name.startswith("."):
                _copy(dataset / name, staging / name, manifest["files"])
        stems = sorted({Path(str(f["path"])).stem for f in manifest["files"] if _is_shard(str(f["path"]))})
        for n_done, stem in enumerate(stems):
            if progress is not None:
                progress(n_done, len(stems))
            _rewrite(dataset, staging, stem, export, pictures, summary, left)
        if progress is not None:
            progress(len(stems), len(stems))
        if not summary.n_attached:
            return summary
        key = settings_hash({"before": manifest["key"], "attached": sorted(left.codes)})
        requests = requested_views(ViewsConfig(), (), manifest)
        views = write_views(staging, staging, requests, key)
        whole = {**manifest, "key": key, "files": listed_files(staging), VIEWS_FOLDER: views}
        write_json_atomically(staging / MANIFEST, whole)
        private = [f"{folder.resolve()}", f"{Path.home()}/"]
        if hits := scan_output(staging, left.identifiers, private, codes=left.codes):
            raise PrivacyError(
                f"the finished output holds what the pictures' files say: {'; '.join(hits[:3])}",
                hint="Nothing was changed.",
                record=f"{len(hits)} files",
            )
        switch(staging, dataset)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return summary


class _Pictures:
    """The picture files of a folder, found by their public id, else by the hash of their pixels."""

    def __init__(self, folder: Path, salt: str) -> None:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", path=folder, hint="Give the folder of the pictures.")
        self._salt = salt
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file()):
            self._by_name.setdefault(path.stem, []).append(path)
        self._by_hash: dict[str, Path] | None = None

    def find(self, digest: str, public_id: str | None) -> tuple[Path, Radiograph] | None:
        """Return the file whose pixels have this hash, decoded; None where there is none."""
        if public_id:
            candidates: Iterable[Path] = self._by_name.get(public_id, [])
        else:
            found = self._hashes().get(digest)
            candidates = [] if found is None else [found]
        for path in candidates:
            radiograph = _decoded(path)
            if radiograph is not None and salted_sha256(radiograph.grey8(), self._salt) == digest:
                return path, radiograph
        return None

    def _hashes(self) -> Mapping[str, Path]:
        if self._by_hash is None:
            self._by_hash = {}
            for path in (path for paths in self._by_name.values() for path in paths):
                radiograph = _decoded(path)
                if radiograph is not None:
                    self._by_hash[salted_sha256(radiograph.grey8(), self._salt)] = path
        return self._by_hash


def _decoded(path: Path) -> Radiograph | None:
    """Return the picture; None for a file that is none, which may well lie among the others."""
    try:
        return load_radiograph(path)
    except ImageError:
        return None


def _is_shard(path: str) -> bool:
    return path.split("/")[0] in {"readings", "hdf5"}


def _copy(source: Path, target: Path, files: Iterable[Mapping[str, Any]]) -> None:
    """Copy what the manifest lists below a name; other files are somebody's own, and `switch` keeps them."""
    for entry in files:
        path = Path(str(entry["path"]))
        if path.parts[0] == source.name and ".." not in path.parts:
            place = target.parent / path
            make_private_folder(place.parent)
            shutil.copyfile(source.parent / path, place)


def _rewrite(
    dataset: Path,
    staging: Path,
    stem: str,
    export: ExportConfig,
    pictures: _Pictures,
    summary: AttachSummary,
    left: _Left,
) -> None:
    """Write one shard again, in the formats that it has."""
    parquet, hdf5 = dataset / "readings" / f"{stem}.parquet", dataset / "hdf5" / f"{stem}.h5"
    formats = [name for name, path in (("parquet", parquet), ("hdf5", hdf5)) if path.is_file()]
    batches: Iterator[pa.RecordBatch] | list[pa.Table] = (
        read_parquet(parquet) if parquet.is_file() else [read_hdf5(hdf5)]
    )
    with open_shard(staging, stem, export, formats) as rows:
        for row in (row for batch in batches for row in batch.to_pylist()):
            rows.add(_with_pictures(row, export.picture_max_side_px, pictures, summary, left))


def _with_pictures(
    row: dict[str, Any], longest_px: int, pictures: _Pictures, summary: AttachSummary, left: _Left
) -> dict[str, Any]:
    images, infos, seen = list(row["images"]), [], []
    for info in row["image_info"]:
        digest = info["picture_salted_sha256"]
        found = pictures.find(digest, info["public_dicom_id"]) if digest else None
        if found is None:
            summary.n_missing += digest is not None
            infos.append(info)
            continue
        path, radiograph = found
        grey8 = radiograph.grey8()
        if radiograph.burned_in or find_burned_in_text(grey8):
            summary.held_back.append(f"{row['reading_id']}, picture {info['image_index']}")
            infos.append(info)
            continue
        small = shrink(grey8, longest_px)
        content = encode_png(small)
        sha256 = hashlib.sha256(content).hexdigest()
        images.append({"bytes": content, "path": f"{row['reading_id']}_{info['image_index']}.png"})
        infos.append(
            {
                **info,
                "picture_width_px": small.shape[1],
                "picture_height_px": small.shape[0],
                "sha256": sha256,
                "picture_sha256": sha256,
                "picture_phash": perceptual_hash(small),
                "picture_salted_sha256": None,
            }
        )
        summary.n_attached += 1
        seen.append(radiograph)
        left.codes.add(sha256_of(path))
    if seen:
        named = Identifiers.of(seen)
        public = {row["public_patient_id"], row["public_study_id"], *(i["public_dicom_id"] for i in infos)}
        left.identifiers[row["reading_id"]] = Identifiers(names=named.names, ids=named.ids - public)
    return {**row, "images": images, "image_info": infos}
