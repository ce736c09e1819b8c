"""What an operator should know at a glance: is everything recorded, and if not, what is wrong. No Qt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gazecapture.session.status import RecorderStatus, StreamStatus
from gazecapture.viewer.dictation_status import DictationStatus
from gazecapture.viewer.film_check import QUIETEST_DBFS

__all__ = ["Severity", "Worry", "dictation_worry", "recorder_worries", "stream_worry"]

Severity = Literal["alarm", "notice"]
"""alarm: data are being lost, now. notice: look at it when you can."""

OLD_SAMPLE_S = 1.0
"""s since the last sample, above which its stream counts as silent (docs/recording.md)."""
OLD_STATUS_S = 2.0
"""s; a recorder at work says something every 0.25 s, and never less than once a second."""
LOW_RATE_SHARE, HALF_RATE_SHARE = 0.9, 0.5
"""Of the nominal rate. Trackers vary by a few per cent."""
LONG_SILENCE_S = 3.0
"""s of a film's dictation after which one that was never loud counts as not heard: somebody who speaks for so long
has said something."""
DEEP_QUEUE = 1000
"""Batches that once waited for the disk: half a minute of a stream's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worry:
    """One line for the operator."""

    severity: Severity
    text: str


def stream_worry(stream: StreamStatus) -> Worry | None:
    """Return the gravest thing that is wrong with a stream, None where nothing is."""
    age, rate, nominal = stream.last_sample_age_s, stream.rate_hz, stream.nominal_rate_hz
    # A stream without a rate speaks when there is something to say.
    if nominal > 0 and age is not None and age > OLD_SAMPLE_S:
        return Worry(severity="alarm", text=f"{stream.name}: nothing for {age:.0f} s")
    if nominal > 0 and rate is not None and rate < HALF_RATE_SHARE * nominal:
        return Worry(severity="alarm", text=f"{stream.name}: {rate:.0f} of {nominal:.0f} samples per s")
    if stream.missing_by_frame_number:
        return Worry(severity="notice", text=f"{stream.name}: {stream.missing_by_frame_number} samples lost")
    if nominal > 0 and rate is not None and rate < LOW_RATE_SHARE * nominal:
        return Worry(severity="notice", text=f"{stream.name}: {rate:.0f} of {nominal:.0f} samples per s")
    if stream.n_restarts:
        return Worry(severity="notice", text=f"{stream.name}: its sender began anew ({stream.n_restarts})")
    if stream.n_gaps:
        return Worry(severity="notice", text=f"{stream.name}: {stream.n_gaps} gaps")
    return None


def dictation_worry(status: DictationStatus | None, now_ns: int) -> Worry | None:
    """Return what is wrong with the microphone, None where nothing is or nobody dictates."""
    if status is None or status.is_over:
        return None
    silent_s = (now_ns - status.t_ns) / 1e9
    if status.trouble:
        return Worry(severity="alarm", text=f"the microphone stopped: {status.trouble}")
    if silent_s > OLD_STATUS_S:
        return Worry(severity="alarm", text=f"the microphone gives nothing for {silent_s:.0f} s")
    if status.recorded_s > LONG_SILENCE_S and status.loudest_dbfs < QUIETEST_DBFS:
        return Worry(severity="alarm", text="the microphone hears nothing")
    return None


def recorder_worries(status: RecorderStatus | None, now_ns: int) -> list[Worry]:
    """Return what is wrong with the recording, the gravest first."""
    if status is None:
        return [Worry(severity="notice", text="no recorder has begun yet")]
    found = list(_of_recorder(status, now_ns))
    found += [worry for stream in status.streams if (worry := stream_worry(stream)) is not None]
    return sorted(found, key=lambda worry: worry.severity)


def _of_recorder(status: RecorderStatus, now_ns: int) -> Iterator[Worry]:
    if status.state == "failed":
        yield Worry(severity="alarm", text="the recorder has failed")
    silent_s = (now_ns - status.t_ns) / 1e9
    if status.is_live and silent_s > OLD_STATUS_S:
        yield Worry(severity="alarm", text=f"the recorder has said nothing for {silent_s:.0f} s")
    if status.error:
        yield Worry(severity="alarm", text=status.error)
    if status.disk_is_low:
        yield Worry(
            severity="alarm", text=f"the disk is nearly full: {status.disk_free_bytes / 2**30:.1f} GiB"
        )
    if status.n_overflows:
        yield Worry(severity="alarm", text=f"the disk could not keep up, {status.n_overflows} times")
    elif status.queue_high_water > DEEP_QUEUE:
        yield Worry(severity="notice", text=f"{status.queue_high_water} batches once waited for the disk")
    if status.n_sleeps:
        yield Worry(severity="notice", text=f"this computer slept, {status.n_sleeps} times")
    elif status.n_clock_steps:
        yield Worry(severity="notice", text=f"this computer's clock was set, {status.n_clock_steps} times")
