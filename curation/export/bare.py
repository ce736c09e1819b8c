"""Whether a picture says nothing but its pixels."""

from __future__ import annotations

from typing import Final

__all__ = ["BARE_PNG", "is_bare"]

BARE_PNG: Final = frozenset({b"IHDR", b"IDAT", b"IEND"})
"""Chunks of a picture that says nothing but its pixels."""
_JPEG_MARK, _JPEG_SCAN, _JPEG_END, _JFIF_BYTES = b"\xff\xd8", 0xDA, b"\xff\xd9", 16
_PNG_MARK = b"\x89PNG\r\n\x1a\n"


def is_bare(picture: bytes | memoryview) -> bool:
    """Say whether a picture is PNG or JPEG with pixels alone (a null cell of HDF5 has no bytes at all)."""
    if not picture:
        return True
    if picture[: len(_JPEG_MARK)] == _JPEG_MARK:
        return _is_bare_jpeg(bytes(picture))
    if picture[: len(_PNG_MARK)] != _PNG_MARK:
        return False
    place = len(_PNG_MARK)
    while place < len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        if bytes(picture[place + 4 : place + 8]) not in BARE_PNG:
            return False
        place += 12 + length
    return place == len(picture)


def _is_bare_jpeg(picture: bytes) -> bool:
    """Say whether a JPEG has neither comment nor application data (but the size of JFIF), nor bytes after its end."""
    place = len(_JPEG_MARK)
    while place + 4 <= len(picture) and picture[place] == 0xFF:
        kind, length = picture[place + 1], int.from_bytes(picture[place + 2 : place + 4], "big")
        if kind == _JPEG_SCAN:
            return picture.find(_JPEG_END) == len(picture) - len(_JPEG_END)
        is_jfif = kind == 0xE0 and length == _JFIF_BYTES
        if (0xE0 <= kind <= 0xEF and not is_jfif) or kind == 0xFE:
            return False
        place += 2 + length
    return False
