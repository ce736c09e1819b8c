"""Format ``xdf``: our own exports, and recordings of LabRecorder whose gaze a stream profile reads.

An export of ours gives the readings of its session. Any other file gives one reading for each pair of markers
(``image_on``, ``reading_start``, ``trial_start`` and the like), else one for the whole file, whose time begins with
its first gaze sample (``time_origin`` recording_start). No picture comes with such a file: gaze stays on the screen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.ingest.markers import spans_of
from curation.ingest.protocol import Ingested
from gazecapture import __version__
from gazecapture.files import sha256_of
from gazecapture.profiles import Profile
from gazecapture.session.gaze_stream import GazeStream, load_gaze
from gazecapture.session.profiles import load_own_profiles
from gazecapture.session.schema import read_session_info
from gazecapture.session.to_readings import to_readings
from gazecapture.session.xdf_import import UnpackedXdf, unpack_xdf
from gazecapture.store import KeyedHash
from keyframes.errors import DataError, GazeToolError, UsageError
from keyframes.reading import Reading, ReadingMeta

__all__ = ["XdfIngester"]


class XdfIngester:
    """One XDF file, or a folder of them.

    own_profiles : a user's stream profiles, which come before the built-in ones.
    """

    name = "xdf"

    def __init__(self, own_profiles: Sequence[Profile] = ()) -> None:
        self._own_profiles = tuple(own_profiles)

    def with_profiles(self, paths: Sequence[Path]) -> XdfIngester:
        """See `curation.ingest.protocol.TakesProfiles.with_profiles`."""
        return XdfIngester(load_own_profiles(paths))

    def find(self, source: Path) -> list[Path]:
        """See `curation.ingest.protocol.Ingester.find`."""
        if source.is_file():
            return [source]
        found = sorted(source.rglob("*.xdf")) if source.is_dir() else []
        if not found:
            what = "holds no .xdf file" if source.is_dir() else "does not exist"
            raise UsageError(f"{source} {what}", path=source, code="GT-XDF")
        return found

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        try:
            with tempfile.TemporaryDirectory() as scratch:
                unpacked = unpack_xdf(unit, Path(scratch) / "session", own_profiles=self._own_profiles)
                if unpacked.is_own:
                    yield from self._own(unit, unpacked, key)
                else:
                    yield from self._foreign(unit, unpacked, key)
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)

    def _own(self, unit: Path, unpacked: UnpackedXdf, key: bytes) -> Iterator[Ingested]:
        for item in to_readings(
            unpacked.session, key=key, own_profiles=self._own_profiles, with_pictures=False
        ):
            reading = item.reading
            if reading is not None:
                provenance = {**reading.meta.provenance, **_cut(unpacked)}
                meta = replace(
                    reading.meta, source_format="xdf", access_tier="local-only", provenance=provenance
                )
                reading = Reading.build(meta, reading.tables)
            yield Ingested(
                label=f"{unit.name} reading {item.reading_number}", reading=reading, error=item.error
            )

    def _foreign(self, unit: Path, unpacked: UnpackedXdf, key: bytes) -> Iterator[Ingested]:
        info = read_session_info(unpacked.session)
        gaze = load_gaze(unpacked.session, info.display, override=self._own_profiles)
        if not gaze.t_ns.size:
            raise DataError(
                "the file holds no gaze stream that a profile reads", path=unit, code="GT-NO-GAZE"
            )
        spans = spans_of(unpacked.markers)
        origin = "image_on" if spans else "recording_start"
        spans = spans or [(int(gaze.t_ns[0]), int(gaze.t_ns[-1]) + 1)]
        pseudonym, file_id = KeyedHash(key), sha256_of(unit)
        for number, (on_ns, off_ns) in enumerate(spans, start=1):
            part = gaze.between(on_ns, off_ns)
            study = pseudonym("study", f"{file_id}/{number}")
            meta = ReadingMeta(
                reading_id=pseudonym("xdf", f"{file_id}/{number}"),
                source_format="xdf",
                time_origin=origin,
                reader_code=pseudonym("reader", file_id),
                study_key=study,
                patient_key=study,
                session_id=pseudonym("sitting", file_id),
                reading_number=number,
                duration_ns=off_ns - on_ns,
                tracker=part.tracker,
                display=info.display,
                source_licence="own recording",
                access_tier="local-only",
                synthetic=part.simulated,
                provenance={
                    "tool_version": __version__,
                    "clock_residual_ms": f"{part.clock.residual_s * 1e3:.3f}",
                    **_cut(unpacked),
                },
            )
            reading = Reading.build(meta, {"gaze": _gaze(part, on_ns)})
            yield Ingested(label=f"{unit.name} reading {number}", reading=reading)


def _cut(unpacked: UnpackedXdf) -> dict[str, str]:
    """Say of a file that was cut how much of its end could not be used."""
    n = unpacked.n_bytes_left_out
    return {"xdf_bytes_left_out": str(n)} if n else {}


def _gaze(part: GazeStream, on_ns: int) -> pa.Table:
    n = part.t_ns.size
    nothing = np.full(n, np.nan)
    return pa.table(
        {
            **part.gaze,
            "t_ns": part.t_ns - on_ns,
            **dict.fromkeys(("x_image_px", "y_image_px", "px_per_deg_x", "px_per_deg_y"), nothing),
            "viewport_id": pa.nulls(n, pa.int16()),
            "image_index": pa.nulls(n, pa.int16()),
            "source": pa.repeat("imported", n),
        }
    )
