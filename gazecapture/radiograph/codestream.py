"""What a compressed picture says of its own size, read before any decoder is let near it.

A decoder allocates what the code stream claims, not what the DICOM header claims.

Source: ISO/IEC 10918-1 B.2.2 and 14495-1 C.2.2 (frame header), 15444-1 A.5.1 (SIZ).
"""

from __future__ import annotations

import struct

__all__ = ["claimed_size"]

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
_JP2_BOX = b"jP  "
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
"""Markers among the frame headers' codes that are none: Huffman tables, reserved, arithmetic conditioning."""
_JPEG_LS_FRAME = 0xF7
_ALONE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
"""Markers without a length."""


def claimed_size(frame: bytes) -> tuple[int, int, int] | None:
    """Return (width px, height px, components) that a JPEG, JPEG-LS or JPEG 2000 stream claims; None if unknown."""
    try:
        if frame.startswith(_JPEG_START):
            return _jpeg_size(frame)
        start = 0 if frame.startswith(_J2K_START) else -1
        if frame[4:8] == _JP2_BOX:
            start = frame.find(_J2K_START)
        if start < 0:
            return None
        x1, y1, x0, y0 = struct.unpack_from(">4I", frame, start + 8)
        (components,) = struct.unpack_from(">H", frame, start + 40)
        return x1 - x0, y1 - y0, components
    except struct.error:
        return None


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        if marker == _JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME):
            height, width, components = struct.unpack_from(">HHB", frame, at + 5)
            return width, height, components
        (length,) = struct.unpack_from(">H", frame, at + 2)
        at += 2 + length
    return None
