"""A session as one XDF file, for other programs: every stream as its sender stamped it, our journals as markers.

Gaps stay gaps: a stream that has any names no nominal rate, so that no reader spreads its samples evenly over them.
No patient's or study's id goes into the file, nor what the study was asked for, nor a picture's SHA-256, by which
whoever has the picture finds it: their places hold numbers made for this one file, equal where what they stand for is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from gazecapture.files import as_tool_error, atomic_path
from gazecapture.session.journal import read_journal
from gazecapture.session.monitor import GAP_FACTOR
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    MARKS,
    OFFSETS,
    VALIDATION_JOURNAL,
    WORDS_JOURNAL,
    SessionInfo,
    StreamInfo,
    StudyInfo,
    read_session_info,
    read_stream_info,
)
from gazecapture.session.xdf_file import XdfWriter, element

__all__ = ["JOURNALS", "JOURNAL_SOURCE", "export_xdf", "without_identifiers"]

JOURNAL_SOURCE = "gazecapture-journal:"
"""How the source id of a journal's marker stream begins; the journal's name follows."""
JOURNALS = {
    "words": WORDS_JOURNAL,
    "display": DISPLAY_JOURNAL,
    "annotations": ANNOTATIONS,
    "validation": VALIDATION_JOURNAL,
    "marks": MARKS,
}
"""By folder; the first column is a row's time."""
_HOST_NODES = ("hostname", "v4address", "v6address")
"""Of a sender's header: computers are named after people and rooms."""


def export_xdf(session: Path, target: Path) -> dict[str, int]:
    """Write a session into ``target``, whole or not at all; return how many samples each stream has there.

    Raises SchemaError where the folder is no session, DiskFullError where there is no room.
    """
    info = read_session_info(session)
    counts: dict[str, int] = {}
    try:
        with atomic_path(target) as scratch, scratch.open("wb") as file:
            writer = XdfWriter(file)
            folders = sorted(path.parent for path in (session / "streams").glob("*/stream.json"))
            for number, folder in enumerate(folders, start=1):
                counts[folder.name] = _write_stream(writer, number, session, folder)
            for number, (name, schema) in enumerate(JOURNALS.items(), start=len(folders) + 1):
                rows = read_journal(session / name, schema=schema).table
                counts[name] = _write_journal(writer, number, name, rows, info)
    except OSError as error:
        raise as_tool_error(error, target, "writing the XDF file") from error
    return counts


def without_identifiers(info: SessionInfo) -> SessionInfo:
    """Return the description of a session without what names a patient, a study or a picture.

    Readings of one study or one patient can still be told to be that: each id is replaced by its hash under a key that
    nobody keeps, so that no two files have one in common.
    """
    key = secrets.token_bytes(32)

    def opaque(kind: str, text: str) -> str:
        return hmac.new(key, f"{kind}/{text}".encode(), hashlib.sha256).hexdigest() if text else ""

    numbers = {study.study_id: str(study.reading_number) for study in reversed(info.studies)}
    return replace(info, studies=tuple(_anonymous(study, opaque, numbers) for study in info.studies))


def _anonymous(study: StudyInfo, opaque: Callable[[str, str], str], numbers: Mapping[str, str]) -> StudyInfo:
    images = tuple(
        replace(
            image,
            sha256=opaque("picture", image.sha256),
            source_patient_id=opaque("patient", image.source_patient_id),
            source_study_uid=opaque("study", image.source_study_uid),
        )
        for image in study.images
    )
    return replace(
        study,
        study_id=str(study.reading_number),
        repeat_of=numbers.get(study.repeat_of, ""),
        indication="",
        sex="",
        age_band="",
        images=images,
    )


def _write_stream(writer: XdfWriter, number: int, session: Path, folder: Path) -> int:
    info, table = read_stream_info(folder), read_journal(folder).table
    t_s = table["t_remote_s"].to_numpy()
    writer.header(number, _header(info, t_s))
    columns = [table[channel.column] for channel in info.channels]
    for row in read_journal(session / "offsets" / folder.name, schema=OFFSETS).table.to_pylist():
        writer.clock_offset(number, row["t_ns"] / 1e9 - row["offset_s"], row["offset_s"])
    if info.channel_format == "string":
        writer.texts(number, t_s.tolist(), zip(*(c.to_pylist() for c in columns), strict=True))
    else:
        writer.numbers(number, t_s, [c.to_numpy() for c in columns], info.channel_format)
    writer.boundary()
    writer.footer(number, t_s)
    return int(t_s.size)


def _write_journal(writer: XdfWriter, number: int, name: str, rows: pa.Table, info: SessionInfo) -> int:
    described = ""
    if name == "display":
        content = TypeAdapter(SessionInfo).dump_json(without_identifiers(info)).decode()
        described = element("session", content)
    writer.header(
        number,
        '<?xml version="1.0"?><info>'
        + element("name", f"gazecapture {name}") + element("type", "Markers")
        + "<channel_count>1</channel_count><nominal_srate>0</nominal_srate><channel_format>string</channel_format>"
        + element("source_id", f"{JOURNAL_SOURCE}{name}") + f"<desc>{described}</desc></info>",
    )  # fmt: skip
    t_s = rows.column(0).to_numpy() / 1e9
    for t in t_s[[0, -1]] if t_s.size else ():
        writer.clock_offset(number, float(t), 0.0)
    writer.texts(number, t_s.tolist(), ([json.dumps(row)] for row in rows.to_pylist()))
    writer.footer(number, t_s)
    return int(t_s.size)


def _header(info: StreamInfo, t_s: np.ndarray[Any, Any]) -> str:
    """Return the sender's own header, else one in XDF's layout; its rate is taken out where there are gaps."""
    steps = np.diff(t_s)
    has_gaps = bool(steps.size) and bool(((steps > GAP_FACTOR * np.median(steps)) | (steps < 0)).any())
    rate_hz = 0.0 if has_gaps else info.nominal_rate_hz
    try:
        root = ElementTree.fromstring(info.xml)  # noqa: S314 - expat itself refuses entity bombs
    except ElementTree.ParseError:
        root = _described(info)
    for name, text in (
        ("nominal_srate", f"{rate_hz:g}"),
        ("channel_format", info.channel_format),
        ("channel_count", str(len(info.channels))),
    ):
        node = root.find(name)
        if node is None:
            node = ElementTree.SubElement(root, name)
        node.text = text
    for name in _HOST_NODES:
        for node in root.iter(name):
            node.text = ""
    return '<?xml version="1.0"?>' + ElementTree.tostring(root, encoding="unicode")


def _described(info: StreamInfo) -> ElementTree.Element:
    root = ElementTree.Element("info")
    for name, text in (("name", info.name), ("type", info.kind), ("source_id", info.source_id)):
        ElementTree.SubElement(root, name).text = text
    desc = ElementTree.SubElement(root, "desc")
    channels = ElementTree.SubElement(desc, "channels")
    for channel in info.channels:
        node = ElementTree.SubElement(channels, "channel")
        for name, text in (
            ("label", channel.label), ("type", channel.kind), ("eye", channel.eye), ("unit", channel.unit),
            ("coordinate_system", channel.coordinate_system),
        ):  # fmt: skip
            if text:
                ElementTree.SubElement(node, name).text = text
    acquisition = ElementTree.SubElement(desc, "acquisition")
    ElementTree.SubElement(acquisition, "manufacturer").text = info.tracker.manufacturer
    ElementTree.SubElement(acquisition, "model").text = info.tracker.model
    return root
