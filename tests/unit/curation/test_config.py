from __future__ import annotations

from pathlib import Path

import pytest

from curation.config import (
    CurationConfig,
    config_hash,
    load_config,
    remember_config,
    remembered_config,
    settings_hash,
)
from keyframes.errors import ConfigError


def _file(folder: Path, text: str) -> Path:
    path = folder / "gazecurate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_and_an_empty_file_are_the_defaults(tmp_path: Path) -> None:
    assert load_config(None) == load_config(_file(tmp_path, "")) == CurationConfig()


def test_defaults_of_the_loss_gates_are_the_published_ones() -> None:
    gates = CurationConfig().quality
    assert (gates.loss_share_warn, gates.loss_share_reject) == (0.10, 0.15)
    assert (gates.longest_loss_warn_s, gates.longest_loss_reject_s) == (1.5, 3.0)


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    config = load_config(
        _file(
            tmp_path,
            "[quality]\nloss_share_warn = 0.2\nloss_share_reject = 0.3\n"
            '[quality.severity]\nGQ-PANEL = "error"\n[events]\nmethod = "ivt"\n',
        )
    )
    assert config.quality.loss_share_reject == 0.3
    assert config.quality.severity["GQ-PANEL"] == "error"
    assert config.events.method == "ivt"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[qualty]\n", "qualty"),
        ("[quality]\nloss_share_regect = 0.2\n", "quality.loss_share_regect"),
        ("[quality]\nloss_share_warn = 1.5\n", "quality.loss_share_warn"),
        ("[quality]\nloss_share_warn = nan\n", "quality.loss_share_warn"),
        ("[quality]\nloss_share_warn = 0.4\n", "loss_share_warn must not exceed loss_share_reject"),
        ('[quality.severity]\nGQ-NOPE = "error"\n', "GQ-NOPE"),
        ('[quality.severity]\nGQ-PANEL = "fatal"\n', "quality.severity.GQ-PANEL"),
        ('[events]\nmethod = "magic"\n', "events.method"),
        ('[regions]\nscheme = "../etc/passwd"\n', "regions.scheme"),
        ("[export]\nformats = []\n", "formats"),
        ("[export]\nsplit_train = 0.8\nsplit_validate = 0.3\n", "must not exceed 1"),
        ("quality = 3\n", "quality"),
        ("[quality\n", "is not TOML"),
    ],
)
def test_what_is_off_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert expected in caught.value.message
    assert str(path) in caught.value.message


def test_an_unknown_setting_comes_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(_file(tmp_path, "[keyframes]\nlead = 1\n"))
    assert "lead_s" in caught.value.hint


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "none.toml")
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(binary)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError):
        CurationConfig().quality.loss_share_warn = 0.5


def test_the_hash_follows_every_setting_and_no_order(tmp_path: Path) -> None:
    changed = load_config(_file(tmp_path, "[trajectory]\n[keyframes]\nlead_s = 1.0\n"))
    assert config_hash(changed) != config_hash(CurationConfig())
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1})


def test_the_last_settings_are_remembered(tmp_path: Path) -> None:
    assert remembered_config(tmp_path) == CurationConfig()
    config = load_config(_file(tmp_path, "[keyframes]\nlead_s = 1.25\n"))
    remember_config(tmp_path, config)
    assert remembered_config(tmp_path) == config
    (tmp_path / "last_config.json").write_text("{")
    assert remembered_config(tmp_path) == CurationConfig()
