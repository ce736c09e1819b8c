"""From what somebody chose to a dictation that listens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gazecapture.viewer.audio_sources import FileAudio, LslAudio
from gazecapture.viewer.dictation import AudioSource, Dictation
from gazecapture.viewer.dictation_choice import DictationChoice
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason

__all__ = ["dictation_of"]


def dictation_of(
    session: Path, choice: DictationChoice, *, on_error: Callable[[Exception], None]
) -> Dictation:
    """Return a dictation that listens. Blocks for as long as connecting takes. Raises DeviceUnavailableError."""
    dictation = Dictation(session, _source(choice), choice.mode, on_error=on_error)
    try:
        dictation.start()
    except BaseException:
        dictation.close()
        raise
    return dictation


def _source(choice: DictationChoice) -> AudioSource:
    match choice.kind:
        case "file":
            return FileAudio(Path(choice.name))
        case "lsl":
            return LslAudio(choice.name)
        case "microphone":
            try:
                # Here only: the module needs sound libraries that a station without dictation lacks.
                from gazecapture.viewer.qt.microphone import Microphone
            except ImportError as error:
                raise DeviceUnavailableError(
                    f"Qt's multimedia module cannot be loaded ({error})",
                    reason=DeviceUnavailableReason.NOT_FOUND,
                    hint="Install the sound libraries (on Debian: libpulse0).",
                    code="GT-NO-MICROPHONE",
                ) from None
            return Microphone(choice.name)
