"""A merged folder: complete, asking as the trainer asks, with a card that says what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from examples.gazex.cli import main
from examples.gazex.model.ready import ReadyModel, new_model, save_trained
from tests.unit.gazex.test_training import tiny

QUESTION = "Is there Edema?"


def untrained(folder: Path, family: str) -> ReadyModel:
    """Write a model as `train` does, without training."""
    config = tiny(
        model={"family": family, "heads": 4},
        tasks={"weights": {"presence": 1.0}},
        data={"image_max_px": 6272, "frame_max_px": 3136},
    )
    ready = new_model(config, [QUESTION, "yes", "no"])
    about: dict[str, Any] = {
        "tiers": ["credentialed"],
        "n_readings": 7,
        "n_examples": 9,
        "steps": 0,
        "validation_loss": None,
    }
    save_trained(ready, folder, config, about)
    return ready


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_it_asks_as_the_trainer_asked_and_limits_pictures_likewise(tmp_path: Path, family: str) -> None:
    ready = untrained(tmp_path / "run", family)
    assert main(["merge", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    held = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja",
        "preprocessor_config.json", "video_preprocessor_config.json", "README.md",
    } <= held  # fmt: skip
    image, video = (
        json.loads((tmp_path / f"out/{name}preprocessor_config.json").read_text()) for name in ("", "video_")
    )
    assert image["size"]["longest_edge"] == 6272
    # Qwen3-VL counts all frames of a sequence together, each of which is given twice.
    assert video["size"]["longest_edge"] == 3136 * (2 * 32 if family == "qwen3_vl" else 1)
    assert video["do_sample_frames"] is False
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    turn = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    asked = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert tokenizer(asked)["input_ids"] == ready.processor.prompt_ids(None, [], QUESTION)


def test_the_card_names_tiers_and_metrics_and_says_for_research_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    untrained(tmp_path / "run", "qwen2_vl")
    scores = {
        "model": {"grounding IoU": {"value": 0.61234, "low": 0.5, "high": 0.7, "n": 4, "n_groups": 2}},
        "untrained": {"grounding IoU": {"value": 0.1}, "finding F1 (rule)": {"value": float("nan")}},
    }
    (tmp_path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    command = ["merge", str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--scores"]
    assert main([*command, str(tmp_path / "scores.json")]) == 0
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    for said in (
        "For research only. Not a medical device; not for diagnosis.",
        "| Access tiers of that data | credentialed (the weights may go only there) |",
        "| grounding IoU | 0.612 | 0.100 |",
        "| finding F1 (rule) |  |  |",
        "| presence | Is there {label}? |",
    ):
        assert said in card
    (tmp_path / "scores.json").write_text("[]", encoding="utf-8")
    assert main([*command, str(tmp_path / "scores.json")]) == 1
    assert "GX-SCORES" in capsys.readouterr().err
