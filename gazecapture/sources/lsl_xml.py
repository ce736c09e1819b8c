"""What a stream's XML header says; no device, no pylsl."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from xml.etree import ElementTree

from gazecapture import profiles
from gazecapture.profiles import Profile
from gazecapture.session.schema import STREAM_PREFIX, StreamChannel, StreamInfo
from keyframes.errors import SourceError
from keyframes.geometry import Display
from keyframes.reading import Tracker

__all__ = ["column_names", "display_from_xml", "folder_name", "safe_name", "stream_info_from_xml"]

GAZE_KINDS = {"gaze", "eyetracker", "eyetracking"}
WORDS_KIND = "words"


def stream_info_from_xml(
    xml: str, *, stream_id: str = "", own_profiles: Iterable[Profile] = ()
) -> StreamInfo:
    """Read a header as `pylsl.StreamInfo.as_xml` gives it.

    stream_id    : folder name of the stream; made of its name where empty.
    own_profiles : a user's profiles, which come before the built-in ones.

    What a sender leaves out stays empty. Raises SourceError where the text is no stream header.
    """
    root = _parse(xml)
    name = _text(root, "name")
    try:
        n_channels = int(_text(root, "channel_count"))
        rate_hz = float(_text(root, "nominal_srate") or 0.0)
    except ValueError:
        raise SourceError(
            f"the header of stream {name!r} has no channel count", code="GT-STREAM-HEADER"
        ) from None
    described = root.findall("desc/channels/channel")[:n_channels]
    labels = [_text(channel, "label") for channel in described]
    labels += [""] * (n_channels - len(labels))
    columns = column_names(labels)
    channels = tuple(
        StreamChannel(
            column=columns[place],
            label=labels[place],
            # The Pupil Invisible relay says metatype where everybody else says type.
            kind=_text(described[place], "type") or _text(described[place], "metatype"),
            eye=_text(described[place], "eye").lower(),
            unit=_text(described[place], "unit"),
            coordinate_system=_text(described[place], "coordinate_system"),
        )
        if place < len(described)
        else StreamChannel(column=columns[place], label="")
        for place in range(n_channels)
    )
    kind = _text(root, "type")
    info = StreamInfo(
        stream_id=stream_id or folder_name(name),
        role="other",
        name=name,
        kind=kind,
        channel_format=_text(root, "channel_format"),
        nominal_rate_hz=rate_hz if math.isfinite(rate_hz) and rate_hz > 0 else 0.0,
        channels=channels,
        tracker=Tracker(
            name=name,
            manufacturer=_text(root, "desc/acquisition/manufacturer") or _text(root, "desc/manufacturer"),
            model=_text(root, "desc/acquisition/model"),
        ),
        source_id=_text(root, "source_id"),
        xml=xml,
    )
    if kind.casefold() == WORDS_KIND and info.channel_format == "string":
        return replace(info, role="words")
    profile = profiles.match(info, extra=own_profiles)
    if profile is not None or kind.casefold() in GAZE_KINDS:
        return replace(info, role="gaze", profile="" if profile is None else profile.name)
    return info


def display_from_xml(xml: str) -> Display | None:
    """Return the display that a gaze stream names in desc/setup/display, or None; so too for no header at all."""
    if not xml:
        return None
    root = _parse(xml)
    values: dict[str, float | None] = {}
    for field in ("width_px", "height_px", "width_mm", "height_mm", "distance_mm"):
        try:
            value = float(_text(root, f"desc/setup/display/{field}"))
        except ValueError:
            value = math.nan
        values[field] = value if math.isfinite(value) and value > 0 else None
    width, height = values["width_px"], values["height_px"]
    if width is None or height is None:
        return None
    return Display(
        width_px=round(width),
        height_px=round(height),
        width_mm=values["width_mm"],
        height_mm=values["height_mm"],
        distance_mm=values["distance_mm"],
    )


def safe_name(text: str) -> str:
    """Return ``text`` as a folder or column name: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60] or "stream"


def folder_name(text: str) -> str:
    """Return ``text`` as a folder's name, on Windows too, where some names are devices."""
    name = safe_name(text)
    return f"{name}_stream" if re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9]", name) else name


def column_names(labels: Sequence[str], *, taken: Iterable[str] = STREAM_PREFIX.names) -> list[str]:
    """Return a distinct column name for every label; an empty label gets its place as a name."""
    used = set(taken)
    names = []
    for place, label in enumerate(labels):
        base = safe_name(label) if label.strip() else f"channel_{place}"
        name, count = base, 2
        while name in used:
            name, count = f"{base}_{count}", count + 1
        used.add(name)
        names.append(name)
    return names


def _parse(xml: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(xml)  # noqa: S314 - expat itself refuses entity bombs, others are not loaded
    except ElementTree.ParseError as error:
        raise SourceError("a stream's header is not XML", code="GT-STREAM-HEADER") from error


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
