"""faster-whisper as far as it goes without weights: what it is asked, and folders that hold no model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.dictation.whisper import WhisperEngine
from gazecapture.session.audio import AudioClip
from keyframes.errors import ConfigError
from tests.tiny_whisper import write_tiny_whisper


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        WhisperEngine(tmp_path / "none")
    assert caught.value.code == "GT-SPEECH"


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_part_is_refused_before_anything_could_be_fetched(
    tmp_path: Path, name: str
) -> None:
    folder = write_tiny_whisper(tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name):
        WhisperEngine(folder)


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_a_damaged_model(tmp_path: Path, name: str) -> None:
    folder = write_tiny_whisper(tmp_path / "model")
    (folder / name).write_bytes(b"no model")
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        WhisperEngine(folder).words(AudioClip(samples=np.zeros(1600, np.int16)))
    assert caught.value.code == "GT-SPEECH"


def test_what_the_model_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real call is in the contract suite; here its arguments are looked at on the way."""
    import faster_whisper

    asked: dict[str, Any] = {}
    real = faster_whisper.WhisperModel.transcribe

    def listening(self: Any, sound: Any, **options: Any) -> Any:
        asked.update(options)
        return real(self, sound, **options)

    monkeypatch.setattr(faster_whisper.WhisperModel, "transcribe", listening)
    engine = WhisperEngine(
        write_tiny_whisper(tmp_path / "model"), language="en", hotwords=("hila", "effusion")
    )
    assert engine.words(AudioClip(samples=np.zeros(16_000, np.int16))) == []
    assert asked["vad_filter"] is True
    assert asked["condition_on_previous_text"] is False
    assert asked["language"] == "en"
    assert asked["word_timestamps"] is True
    assert asked["hotwords"] == "hila effusion"


def test_no_torch_is_loaded(tmp_path: Path) -> None:
    folder = write_tiny_whisper(tmp_path / "model")
    code = (
        "import sys, numpy as np; from pathlib import Path; from curation.dictation.whisper import WhisperEngine; "
        "from gazecapture.session.audio import AudioClip; "
        f"WhisperEngine(Path({str(folder)!r})).words(AudioClip(samples=np.zeros(16000, np.int16))); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
