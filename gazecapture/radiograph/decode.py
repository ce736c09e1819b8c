"""From a file to a `Radiograph`: DICOM, PNG, JPEG and TIFF, told apart by content and not by name.

Whatever a file is, it either decodes or gives one ImageError in one clear line, without a header value in it and
without allocating what a false header claims.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from gazecapture.radiograph import raster_file
from gazecapture.radiograph.image import Radiograph
from keyframes.errors import ImageError

__all__ = ["Radiograph", "load_radiograph"]

MAX_FILE_BYTES = 1 << 30
"""A radiograph of `MAX_PIXELS` at 16 bit is 300 MB; a larger file is no radiograph."""
DICOM_MARK = b"DICM"
DICOM_MARK_AT = 128
"""Byte; PS3.10 section 7.1."""

_DECODING = threading.Lock()
"""One decode at a time: warning filters and log levels, muted while a decoder runs, are global to the process."""
_TALKATIVE = ("pydicom", "pylibjpeg", "libjpeg", "openjpeg", "PIL")
"""Loggers of the decoders."""


def load_radiograph(path: Path) -> Radiograph:
    """Decode one radiograph.

    Raises ImageError where the file is absent, unreadable, no picture, damaged, too large, in colour (DICOM), of
    several frames, or in a compression that no installed decoder reads.
    """
    try:
        n_bytes = path.stat().st_size
        if not path.is_file():
            raise ImageError(f"{path} is not a file", path=path, hint="Give a DICOM, PNG, JPEG or TIFF file.")
        if n_bytes > MAX_FILE_BYTES:
            raise ImageError(
                f"{path} has {n_bytes} bytes, at most {MAX_FILE_BYTES} are read",
                path=path,
                hint="Is it a radiograph?",
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist", path=path, hint="Check the path.") from None
    except PermissionError:
        raise ImageError(
            f"{path} cannot be read: no permission", path=path, hint="Change its permissions."
        ) from None
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read: {error.strerror or type(error).__name__}", path=path
        ) from None
    if not content:
        raise ImageError(f"{path} is empty", path=path, hint="Copy it again from its source.")
    with _DECODING, _muted():
        try:
            return _decode(content)
        except ImageError as error:
            raise ImageError(f"{path}: {error.message}", hint=error.hint, path=path) from None
        except MemoryError:
            raise ImageError(
                f"{path}: memory does not suffice to decode it", path=path, hint="Close other programs."
            ) from None
        except Exception as error:
            # The per-file boundary: decoder libraries raise anything on damaged input. Their text may quote the
            # header, so only its kind is told.
            raise ImageError(
                f"{path}: the picture is damaged or of an unsupported kind ({type(error).__name__})",
                path=path,
                hint="Open it in another viewer and export it again.",
            ) from None


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Let the decoders warn and log into the void: they quote header values, and every failure comes as an error."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _decode(content: bytes) -> Radiograph:
    if content[DICOM_MARK_AT : DICOM_MARK_AT + 4] == DICOM_MARK or _is_bare_dicom(content):
        from gazecapture.radiograph import dicom_file  # only here: every command would wait for it

        return dicom_file.decode(content)
    if raster_file.is_raster(content):
        return raster_file.decode(content)
    raise ImageError(
        "neither DICOM nor PNG, JPEG or TIFF", hint="Export the radiograph as DICOM or as 16-bit PNG."
    )


def _is_bare_dicom(content: bytes) -> bool:
    """Say whether it starts with a data element, as files of before the DICOM file format do."""
    if len(content) < 8:
        return False
    group, element = struct.unpack_from("<HH", content)
    return group in {0x0002, 0x0008} and element <= 0x0020
