"""The microphone, by Qt's multimedia module."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QIODevice, QObject
from PyQt6.QtMultimedia import QAudio, QAudioDevice, QAudioFormat, QAudioSource, QMediaDevices

from gazecapture.clock import session_now_ns
from gazecapture.session.audio import RATE_HZ
from gazecapture.viewer.audio_sources import Decimator
from gazecapture.viewer.dictation import SoundTaker
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason

__all__ = ["Microphone"]

DRIFT_PPM = 100.0
"""How fast a sound card's clock may run away from the session clock; cheap ones stay below."""


class Microphone(QObject):
    """Sound of one microphone; used from the GUI thread, which only passes blocks on.

    Qt gives no times. A block came when it was handed over, less what it lasts; of these times the earliest are the
    nearest to the truth, for the system can only delay a block. What the sound card itself needs stays unknown, some
    ten ms.

    Parameters
    ----------
    name : part of its name as `gazecapture doctor` lists it; empty: the system's default.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name = name
        self._source: QAudioSource | None = None
        self._device: QIODevice | None = None
        self._decimate = Decimator(RATE_HZ)
        self._channels, self._rate_hz = 1, RATE_HZ
        self._n_frames = 0
        self._zero_ns: float | None = None
        """Session ns of frame 0, as far as is known."""
        self._last_ns = 0
        self._take: SoundTaker = lambda _samples, _t_ns: None
        self._fail: Callable[[str], None] = lambda _why: None

    def start(self, take: SoundTaker, fail: Callable[[str], None]) -> None:
        """Begin. Raises DeviceUnavailableError where there is no microphone, or none of this name."""
        device = self._found()
        form = QAudioFormat()
        form.setSampleRate(RATE_HZ)
        form.setChannelCount(1)
        form.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        if not device.isFormatSupported(form):
            form = device.preferredFormat()
            form.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        self._channels, self._rate_hz = form.channelCount(), form.sampleRate()
        self._decimate = Decimator(self._rate_hz)
        self._take, self._fail = take, fail
        self._source = QAudioSource(device, form)
        self._source.stateChanged.connect(self._state_changed)
        self._device = self._source.start()
        if self._device is None or self._source.error() != QAudio.Error.NoError:
            raise _unavailable("the microphone cannot be opened", "Does another program hold it?")
        self._device.readyRead.connect(self._read)

    def stop(self) -> None:
        """End; nothing is taken after it returns."""
        self._take = lambda _samples, _t_ns: None
        self._fail = lambda _why: None
        if self._source is not None:
            self._source.stop()

    def _found(self) -> QAudioDevice:
        devices = QMediaDevices.audioInputs()
        if self._name:
            devices = [d for d in devices if self._name.lower() in d.description().lower()]
        elif devices:
            devices = [QMediaDevices.defaultAudioInput()]
        if not devices:
            raise _unavailable(
                f"there is no microphone {self._name!r}" if self._name else "there is no microphone",
                "`gazecapture doctor` lists them; --dictation lsl:NAME takes sound from another computer.",
            )
        return devices[0]

    def _read(self) -> None:
        if self._device is None:
            return
        now_ns = session_now_ns()
        block = np.frombuffer(self._device.readAll().data(), np.int16)
        block = block[: block.size // self._channels * self._channels].reshape(-1, self._channels)[:, 0]
        if not block.size:
            return
        self._n_frames += block.size
        zero_ns = now_ns - self._n_frames * 1e9 / self._rate_hz
        if self._zero_ns is not None:
            slack_ns = (now_ns - self._last_ns) * DRIFT_PPM * 1e-6
            zero_ns = min(zero_ns, self._zero_ns + slack_ns)
        self._zero_ns, self._last_ns = zero_ns, now_ns
        first_s = (self._n_frames - block.size) / self._rate_hz - self._decimate.delay_s
        self._take(self._decimate(block / 32768.0), round(zero_ns + first_s * 1e9))

    def _state_changed(self, state: QAudio.State) -> None:
        if state == QAudio.State.StoppedState and self._source is not None:
            error = self._source.error()
            if error != QAudio.Error.NoError:
                self._fail(f"Qt says {error.name}")


def _unavailable(what: str, hint: str) -> DeviceUnavailableError:
    return DeviceUnavailableError(
        what, reason=DeviceUnavailableReason.NOT_FOUND, hint=hint, code="GT-NO-MICROPHONE"
    )
