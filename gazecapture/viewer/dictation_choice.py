"""Where dictated sound comes from and when it counts, as somebody types it. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from gazecapture.viewer.dictation import TalkMode
from keyframes.errors import UsageError

__all__ = ["DictationChoice", "SoundKind", "dictation_choice"]

SoundKind = Literal["microphone", "file", "lsl"]
_KINDS = ("microphone", "file", "lsl")


@dataclass(frozen=True, slots=True, kw_only=True)
class DictationChoice:
    """What was chosen."""

    kind: SoundKind
    name: str = ""
    """Of the microphone or the stream, or the file's path."""
    mode: TalkMode = "hold"


def dictation_choice(where: str, mode: TalkMode) -> DictationChoice:
    """Read ``microphone[:NAME]``, ``file:PATH`` or ``lsl[:NAME]``. Raises UsageError for anything else."""
    kind, _, name = where.partition(":")
    if kind not in _KINDS or (kind == "file" and not Path(name).is_file()):
        raise UsageError(
            f"dictation from {where!r} is not possible",
            hint="Give microphone, microphone:NAME, file:PATH of a WAV file, lsl or lsl:NAME.",
        )
    return DictationChoice(kind=cast("SoundKind", kind), name=name, mode=mode)
