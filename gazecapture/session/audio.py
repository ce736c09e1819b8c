"""What was said during a session: WAV files of 16 kHz mono with, beside them, when each was recorded.

::

    SESSION/audio/{00000}.wav     16-bit PCM, 16 kHz, mono
    SESSION/audio/index/          AUDIO_INDEX: one row or more per file, session-clock time of a frame of it

Between two rows of one file time is interpolated, so that a sound card whose clock drifts is no error of the words.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.removal import AUDIO_FOLDER
from keyframes.errors import SchemaError

__all__ = [
    "AUDIO_INDEX",
    "MAX_CLIP_S",
    "RATE_HZ",
    "AudioClip",
    "AudioFile",
    "add_to_session",
    "cut_audio",
    "read_wav",
    "session_audio",
    "write_wav",
]

RATE_HZ = 16_000
"""Of every recording: what speech recognisers are trained on."""
INT16_BYTES = 2
MAX_CLIP_S = 4 * 3600.0
"""s; longer than a sitting, and 460 MB of samples at most."""
CODE = "GT-AUDIO"

AUDIO_INDEX = pa.schema(
    [
        pa.field("t_ns", pa.int64(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("frame", pa.int64(), nullable=False),
    ]
)
"""Session clock when ``frame`` of ``file`` (a name in the audio folder) was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioClip:
    """Mono sound at `RATE_HZ`; times within it count from its first sample."""

    samples: NDArray[np.int16]
    """(n,)."""

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.samples.size / RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """One file of a session and its place on the session clock."""

    path: Path
    frames: NDArray[np.int64]
    """(k,) frames whose time is known, rising."""
    t_ns: NDArray[np.int64]
    """(k,) their session-clock times, rising."""

    def frame_at(self, t_ns: int) -> int:
        """Return the frame nearest to a session-clock time; negative before the file begins."""
        since = t_ns - int(self.t_ns[0])
        if self.frames.size > 1 and 0 <= since <= int(self.t_ns[-1] - self.t_ns[0]):
            return round(float(np.interp(since, self.t_ns - self.t_ns[0], self.frames)))
        near = 0 if since <= 0 else -1
        return int(self.frames[near]) + round((t_ns - int(self.t_ns[near])) * RATE_HZ / 1e9)

    def time_ns(self, t_s: float) -> int:
        """Return the session-clock time of ``t_s`` after the file's first frame; also beyond the rows."""
        frame = t_s * RATE_HZ
        if self.frames.size > 1 and self.frames[0] <= frame <= self.frames[-1]:
            # Relative to the first row: float64 holds hours of ns exactly, not the session clock itself.
            return int(self.t_ns[0]) + round(float(np.interp(frame, self.frames, self.t_ns - self.t_ns[0])))
        near = 0 if frame <= self.frames[0] else -1
        return int(self.t_ns[near]) + round((frame - int(self.frames[near])) * 1e9 / RATE_HZ)


def session_audio(session: Path) -> tuple[AudioFile, ...]:
    """Return the audio of a session in order of time; nothing where nothing was recorded or it was deleted.

    Raises SchemaError (GT-AUDIO) where the index names a file that is none of the folder or its times run backward.
    """
    folder = session / AUDIO_FOLDER
    if not (folder / "index").is_dir():
        return ()
    rows = read_journal(folder / "index", schema=AUDIO_INDEX).table.sort_by(
        [("file", "ascending"), ("frame", "ascending")]
    )
    files = []
    for name in sorted(set(rows["file"].to_pylist())):
        if Path(name).name != name or not name.endswith(".wav"):
            raise SchemaError("the index names what is no file of the audio folder", path=folder, code=CODE)
        mine = rows.filter(pa.compute.equal(rows["file"], name))
        frames, t_ns = mine["frame"].to_numpy(), mine["t_ns"].to_numpy()
        if (np.diff(frames) <= 0).any() or (np.diff(t_ns) <= 0).any():
            raise SchemaError("times of the index do not go up", path=folder / name, code=CODE)
        files.append(AudioFile(path=folder / name, frames=frames, t_ns=t_ns))
    return tuple(sorted(files, key=lambda file: int(file.t_ns[0])))


def cut_audio(files: Sequence[AudioFile], start_ns: int, end_ns: int) -> AudioClip | None:
    """Return what was recorded between two session-clock times, zeros where nothing was; None where nothing at all was.

    Raises SchemaError as `read_wav` does, and where the stretch is longer than `MAX_CLIP_S`.
    """
    if end_ns - start_ns > MAX_CLIP_S * 1e9:
        raise SchemaError(f"a reading lasts longer than {MAX_CLIP_S:g} s", code=CODE)
    samples = np.zeros(max(0, round((end_ns - start_ns) * RATE_HZ / 1e9)), np.int16)
    found = False
    for file in files:
        if file.frame_at(end_ns) <= 0 or start_ns >= file.time_ns(MAX_CLIP_S):
            continue
        sound = read_wav(file.path).samples
        first, last = max(file.frame_at(start_ns), 0), min(file.frame_at(end_ns), sound.size)
        if first >= last:
            continue
        at = round((file.time_ns(first / RATE_HZ) - start_ns) * RATE_HZ / 1e9)
        part = sound[first : first + min(last - first, samples.size - at)]
        samples[at : at + part.size] = part
        found = True
    return AudioClip(samples=samples) if found else None


def read_wav(path: Path) -> AudioClip:
    """Return a WAV file's sound. Raises SchemaError (GT-AUDIO) where it is not 16-bit PCM, 16 kHz, mono, or is cut."""
    try:
        with wave.open(str(path), "rb") as file:
            found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if found != (1, INT16_BYTES, RATE_HZ):
                raise SchemaError(
                    f"{found[0]} channels of {8 * found[1]} bits at {found[2]} Hz, expected 1 of 16 at {RATE_HZ}",
                    hint="Convert it, for instance: ffmpeg -i IN -ac 1 -ar 16000 -c:a pcm_s16le OUT.wav",
                    path=path,
                    code=CODE,
                )
            n_frames = file.getnframes()
            if n_frames > MAX_CLIP_S * RATE_HZ:
                raise SchemaError(
                    f"{n_frames} frames, at most {MAX_CLIP_S:g} s are read", path=path, code=CODE
                )
            content = file.readframes(n_frames)
    except FileNotFoundError:
        raise SchemaError("the recording is not there", path=path, code=CODE) from None
    except (wave.Error, EOFError, OSError) as error:
        raise SchemaError(f"it is no WAV file ({type(error).__name__})", path=path, code=CODE) from error
    whole = len(content) // INT16_BYTES
    return AudioClip(samples=np.frombuffer(content[: whole * INT16_BYTES], "<i2").astype(np.int16))


def write_wav(path: Path, clip: AudioClip) -> None:
    """Write a WAV file as `read_wav` reads it."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(INT16_BYTES)
        file.setframerate(RATE_HZ)
        file.writeframes(clip.samples.astype("<i2").tobytes())


def add_to_session(session: Path, clip: AudioClip, *, t_start_ns: int) -> Path:
    """Add a recording that began at ``t_start_ns`` on the session clock; return its file."""
    folder = session / AUDIO_FOLDER
    with JournalWriter(folder / "index", AUDIO_INDEX) as index:
        path = folder / f"{len(list(folder.glob('*.wav'))):05d}.wav"
        write_wav(path, clip)
        index.append(pa.table({"t_ns": [t_start_ns], "file": [path.name], "frame": [0]}, schema=AUDIO_INDEX))
    return path
