"""What is said while a film is read is in the session, at its time; what is said otherwise is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gazecapture.clock import import_pylsl, session_now_ns
from gazecapture.files import claim_output_folder
from gazecapture.session.audio import RATE_HZ, AudioClip, cut_audio, read_wav, session_audio, write_wav
from gazecapture.session.audio_writer import AudioWriter
from gazecapture.session.consent import ConsentRecord, Scope, write_consent
from gazecapture.session.schema import SessionInfo, write_session_info
from gazecapture.viewer import audio_sources
from gazecapture.viewer.audio_sources import Decimator, FileAudio, LslAudio
from gazecapture.viewer.dictation import Dictation, SoundTaker
from gazecapture.viewer.dictation_choice import dictation_choice
from gazecapture.viewer.dictation_status import (
    DictationStatus,
    forget_dictation_status,
    read_dictation_status,
)
from keyframes.errors import DeviceUnavailableError, SchemaError, UsageError
from tests.waiting import LIMIT_S, wait_until

S = 1_000_000_000


def numbered(n: int, first: int = 1) -> NDArray[np.int16]:
    """Sound of which every sample tells its own place."""
    return (np.arange(first, first + n) % 30_000 + 1).astype(np.int16)


class ByHand:
    """A source whose blocks the test gives."""

    def __init__(self) -> None:
        self.take: SoundTaker = lambda _samples, _t_ns: None
        self.fail: Callable[[str], None] = lambda _why: None

    def start(self, take: SoundTaker, fail: Callable[[str], None]) -> None:
        self.take, self.fail = take, fail

    def stop(self) -> None:
        pass


def never(error: Exception) -> None:
    raise AssertionError(error)


def test_only_what_is_said_while_the_key_is_held_is_kept_and_at_its_time(tmp_path: Path) -> None:
    source = ByHand()
    dictation = Dictation(tmp_path, source, "hold", on_error=never)
    dictation.start()
    dictation.talk(True)  # no film yet: not kept
    assert not dictation.is_recording
    dictation.open_film()
    began = session_now_ns()
    dictation.talk(True)
    held_ns = session_now_ns()
    assert dictation.is_recording
    time.sleep(0.05)
    let_go_ns = session_now_ns()
    dictation.talk(False)
    after_ns = session_now_ns()
    # Sound of half a second around that comes late, as from every sound card, in blocks of 10 ms.
    t_zero = began - S // 2
    n_sound = RATE_HZ + (after_ns - began) * RATE_HZ // S
    sound = numbered(n_sound)
    for first in range(0, n_sound, 160):
        source.take(sound[first : first + 160], t_zero + first * S // RATE_HZ)
    dictation.close_film()
    dictation.close()
    (file,) = session_audio(tmp_path)
    kept = read_wav(file.path).samples
    assert (np.diff(kept.astype(int)) == 1).all(), "no sample is missing, none is there twice"
    first_ns = t_zero + (int(kept[0]) - 1 - 1) * S // RATE_HZ
    assert began - 1_000_000 < first_ns < held_ns + 1_000_000
    last_ns = t_zero + int(kept[-1]) * S // RATE_HZ
    assert let_go_ns - 1_000_000 < last_ns < after_ns + 1_000_000
    assert abs(int(file.t_ns[0]) - first_ns) < 200_000
    heard = dictation.loudness()
    assert heard.recorded_s == pytest.approx(kept.size / RATE_HZ)
    assert heard.loudest_dbfs > -20


def test_continuous_dictation_makes_a_file_per_film_and_a_hole_a_file_of_its_own(tmp_path: Path) -> None:
    source = ByHand()
    dictation = Dictation(tmp_path, source, "continuous", on_error=never)
    dictation.start()
    dictation.open_film()
    t_ns = session_now_ns()
    source.take(numbered(1600), t_ns)
    source.take(numbered(1600, first=5000), t_ns + S)  # nine tenths of a second were lost
    dictation.close_film_at(t_ns + 3 * S)
    source.take(numbered(1600, first=9000), t_ns + 4 * S)
    source.fail("the stream ended")
    dictation.close()
    files = session_audio(tmp_path)
    assert [read_wav(f.path).samples.size for f in files] == [1600, 1600]
    assert int(files[1].t_ns[0]) == t_ns + S
    clip = cut_audio(files, t_ns, t_ns + 2 * S)
    assert clip is not None
    assert clip.samples[RATE_HZ] == numbered(1, first=5000)[0]
    assert dictation.loudness().trouble == "the stream ended"
    told = read_dictation_status(tmp_path)
    assert told is not None
    assert (told.is_over, told.is_recording, told.trouble) == (True, False, "the stream ended")
    assert (told.recorded_s, told.loudest_dbfs) == (0.2, dictation.loudness().loudest_dbfs)


def test_nothing_is_kept_from_a_refusal_on_until_the_reader_agrees_again(tmp_path: Path) -> None:
    claim_output_folder(tmp_path / "session", kind="session")
    session, source = tmp_path / "session", ByHand()
    write_session_info(
        session, SessionInfo(session_id="s", reader_code="R1", created_unix_ns=1, tool_version="0")
    )

    def agree(*scopes: Scope) -> None:
        record = ConsentRecord.given_now("R1", version="1", scopes=scopes, sharing_tier="local-only")
        write_consent(session, record)

    def heard(value: int) -> None:
        source.take(np.full(1600, value, np.int16), session_now_ns())

    agree("gaze", "audio")
    dictation = Dictation(session, source, "continuous", on_error=never)
    dictation.start()
    dictation.open_film()
    heard(1)
    wait_until(lambda: dictation.loudness().recorded_s > 0, "for what was agreed to")
    agree("gaze")
    heard(2)
    wait_until(lambda: not dictation.is_recording, "for the refusal")
    agree("gaze", "audio")
    heard(3)  # what comes before it is known that the reader agrees again may have been said before
    wait_until(lambda: dictation.is_recording, "for the new agreement")
    heard(4)
    wait_until(lambda: dictation.loudness().recorded_s > 0.15, "for what was agreed to again")
    dictation.close()
    kept = np.concatenate([read_wav(file.path).samples for file in session_audio(session)])
    assert np.unique(kept).tolist() == [1, 4]


def test_the_operator_is_told_while_sound_comes_and_when_it_ends(tmp_path: Path) -> None:
    source = ByHand()
    dictation = Dictation(tmp_path, source, "continuous", on_error=never)
    dictation.start()
    dictation.open_film()

    def told() -> DictationStatus:
        wait_until(lambda: read_dictation_status(tmp_path) is not None, "for a state")
        found = read_dictation_status(tmp_path)
        assert found is not None
        return found

    source.take(np.full(RATE_HZ // 10, 16384, np.int16), session_now_ns())
    wait_until(lambda: told().level_dbfs == pytest.approx(20 * np.log10(0.5), abs=0.01), "for the level")
    assert told().is_recording
    source.fail("unplugged")
    wait_until(lambda: told().trouble == "unplugged", "to be told although no sound comes")
    dictation.close()
    assert told().is_over
    forget_dictation_status(tmp_path)
    assert read_dictation_status(tmp_path) is None


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from gazecapture.session.audio_writer import AudioWriter\n"
        "w = AudioWriter(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    w.write(np.full(1600, n % 30000 + 1, np.int16), n * 10**8)\n"
        "    print(n, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    n_written = 0
    while n_written < 20:
        n_written = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    (file,) = session_audio(tmp_path)
    kept = read_wav(file.path).samples
    assert kept.size >= 1600 * (n_written + 1)
    assert kept[::1600].tolist() == [n + 1 for n in range(kept.size // 1600)]
    with AudioWriter(tmp_path) as again:  # and the next process goes on with another file
        again.write(numbered(10), 10**15)
    assert len(session_audio(tmp_path)) == 2


def test_a_file_is_played_at_the_speed_of_speech(tmp_path: Path) -> None:
    write_wav(tmp_path / "said.wav", AudioClip(samples=numbered(RATE_HZ // 4)))
    blocks: list[tuple[NDArray[np.int16], int]] = []
    over = threading.Event()
    source = FileAudio(tmp_path / "said.wav")
    began = session_now_ns()
    source.start(lambda samples, t_ns: blocks.append((samples, t_ns)), lambda _why: over.set())
    assert over.wait(LIMIT_S)
    source.stop()
    assert session_now_ns() - began >= S // 4
    np.testing.assert_array_equal(np.concatenate([b for b, _ in blocks]), numbered(RATE_HZ // 4))
    assert [t - blocks[0][1] for _, t in blocks] == [0, S // 10, S // 5]
    (tmp_path / "none.wav").write_bytes(b"no sound")
    with pytest.raises(SchemaError):
        FileAudio(tmp_path / "none.wav").start(lambda _s, _t: None, lambda _w: None)


def test_a_multiple_of_the_rate_is_taken_down_without_clicks_or_aliases() -> None:
    rate = 3 * RATE_HZ
    t = np.arange(rate) / rate
    whole = Decimator(rate)
    one = whole(0.5 * np.sin(2 * np.pi * 1000 * t))
    pieces = Decimator(rate)
    cut = np.concatenate([pieces(part) for part in np.array_split(0.5 * np.sin(2 * np.pi * 1000 * t), 37)])
    np.testing.assert_array_equal(one, cut)
    assert one.size == RATE_HZ
    settled = one[200:].astype(float)
    expected = 0.5 * 32767 * np.sin(2 * np.pi * 1000 * (np.arange(RATE_HZ)[200:] / RATE_HZ - whole.delay_s))
    assert np.abs(settled - expected).max() < 200
    alias = Decimator(rate)(0.5 * np.sin(2 * np.pi * 12_000 * t))
    assert np.abs(alias[200:]).max() < 100
    with pytest.raises(DeviceUnavailableError, match="44100 Hz"):
        Decimator(44_100)


def test_sound_of_an_lsl_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    pylsl = import_pylsl()
    name = f"voice {uuid.uuid4().hex[:6]}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Audio", 1, RATE_HZ, "int16", name), chunk_size=160)
    got: list[tuple[NDArray[np.int16], int]] = []
    source = LslAudio(name)
    source.start(lambda samples, t_ns: got.append((samples, t_ns)), lambda _why: None)
    try:
        assert outlet.wait_for_consumers(LIMIT_S)
        sent_at = pylsl.local_clock()
        outlet.push_chunk(numbered(1600).reshape(-1, 1).tolist(), sent_at)
        end = time.monotonic() + LIMIT_S
        while sum(s.size for s, _ in got) < 1600:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        source.stop()
    sound = np.concatenate([s for s, _ in got])
    assert np.abs(sound.astype(int) - numbered(1600)).max() <= 1
    # The stamp is that of the last sample.
    assert abs(got[0][1] / S - (sent_at - 1599 / RATE_HZ)) < 0.05
    monkeypatch.setattr(audio_sources, "RESOLVE_S", 0.3)
    with pytest.raises(DeviceUnavailableError, match="0 streams"):
        LslAudio(f"nothing {uuid.uuid4().hex}").start(lambda _s, _t: None, lambda _w: None)


def test_where_sound_comes_from(tmp_path: Path) -> None:
    assert dictation_choice("lsl:Voice: one", "hold").name == "Voice: one"
    assert dictation_choice("microphone", "continuous").mode == "continuous"
    for wrong in ("radio", f"file:{tmp_path / 'absent.wav'}"):
        with pytest.raises(UsageError, match="not possible"):
            dictation_choice(wrong, "hold")
