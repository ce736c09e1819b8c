"""A small model trained for real: it learns, goes on exactly after a kill, and is the same after every reload."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from examples.gazex.answer.generate import answers, word_probability
from examples.gazex.config import Config, TrainSettings, load_config
from examples.gazex.data.encode import ExampleDataset, collate
from examples.gazex.data.prepare import load_split
from examples.gazex.errors import TrainerError
from examples.gazex.merge import merge
from examples.gazex.model.ready import load_trained
from examples.gazex.tasks.example import plain_text
from examples.gazex.train.loop import _refuse_what_needs_whole_weights, train
from examples.gazex.train.loss import MODEL_INPUTS
from tests.killed_command import killed_when
from tests.unit.gazex.conftest import reading, write_both

TINY: dict[str, dict[str, Any]] = {
    "data": {"image_max_px": 56 * 56, "frame_max_px": 28 * 28, "workers": 0},
    "model": {"hidden": 64, "layers": 2, "heads": 2, "kv_heads": 1, "vision_hidden": 32, "vision_layers": 1,
              "vision_heads": 2, "vocabulary": 400},
    "train": {"steps": 6, "batch_size": 4, "threads": 1, "log_every": 1, "save_every": 2, "validation_batches": 1},
}  # fmt: skip


def tiny(**sections: dict[str, Any]) -> Config:
    """Return settings of a model that trains in seconds."""
    return Config().with_changes(**{n: TINY.get(n, {}) | sections.get(n, {}) for n in {*TINY, *sections}})


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def losses(out: Path) -> list[float]:
    """Return the loss of every step that the log has."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        line.get("loss", line.get("place_loss")) for line in lines if "loss" in line or "place_loss" in line
    ]


def test_eight_examples_are_learnt_by_heart(tmp_path: Path) -> None:
    dataset = write_both(tmp_path / "dataset", [reading(number) for number in range(1, 5)])
    config = tiny(
        tasks={"weights": {"grounding": 1.0}},
        train={"steps": 180, "batch_size": 8, "learning_rate": 3e-3, "log_every": 60, "save_every": 180},
    )
    done = train([dataset], tmp_path / "run", config, quiet=True)
    ready, config, about = load_trained(done.model)
    split = load_split([dataset], "train", config)
    data = ExampleDataset(split.examples, split.paths, ready.processor, config.data)
    wanted = {k: plain_text(e.answer) for k, e in enumerate(split.examples)}
    assert len(set(wanted.values())) == 8
    assert dict(answers(ready, data, range(len(data)))) == wanted
    assert about["tiers"] == ["open"]


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_every_family_trains_reloads_and_merges_to_the_same_numbers(
    dataset: Path, tmp_path: Path, family: str
) -> None:
    lora = family == "qwen2_vl"
    config = tiny(
        model={
            "family": family,
            "lora_rank": 4 if lora else 0,
            **({"heads": 4} if family == "qwen3_vl" else {}),
        },
        train={"steps": 2, "gaze_loss": 0.0 if lora else 0.5},
    )
    done = train([dataset], tmp_path / "run", config, quiet=True)
    ready, config, _ = load_trained(done.model)
    merge(done.model, tmp_path / "merged")
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged", local_files_only=True)
    plain.eval()
    split = load_split([dataset], "test", config)
    data = ExampleDataset(split.examples, split.paths, ready.processor, config.data)
    batch = collate([data[k, None] for k in range(6)], ready.processor)
    inputs = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    with torch.inference_mode():
        own, other = ready.model(**inputs).logits, plain(**inputs).logits
    # An adapter is added to its weights in another order than beside them: equal up to rounding.
    torch.testing.assert_close(own, other, rtol=0, atol=1e-5 if lora else 0)
    assert "not for diagnosis" in (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")


def test_the_gaze_loss_draws_attention_to_where_was_looked(dataset: Path, tmp_path: Path) -> None:
    config = tiny(
        tasks={"weights": {"report_from_image": 1.0}},
        data={"image_max_px": 112 * 112},
        train={"steps": 30, "gaze_loss": 1.0, "learning_rate": 3e-3},
    )
    train([dataset], tmp_path, config, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    gaze = [line["gaze_loss"] for line in lines if "gaze_loss" in line]
    assert sum(gaze[-5:]) < sum(gaze[:5])


def test_processes_train_one_model_together(dataset: Path, tmp_path: Path) -> None:
    config = tiny(
        tasks={"weights": {"grounding": 1.0, "presence": 1.0}},
        train={
            "steps": 4,
            "batch_size": 2,
            "eyes_first": 2,
            "place_loss": 1.0,
            "save_every": 4,
            "optimizer": "muon",
        },
    )
    settings = tmp_path / "settings.toml"
    settings.write_text(_toml(config), encoding="utf-8")
    together = tmp_path / "together"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "examples.gazex", "train", str(dataset), "-c", str(settings), "--out", str(together)]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("after 4 steps") == 1
    lines = [json.loads(line) for line in (together / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if "place_loss" in line] == [1, 2, 3, 4]
    train([dataset], tmp_path / "alone", config, quiet=True)
    states = [
        AutoModelForImageTextToText.from_pretrained(folder / "model", local_files_only=True).state_dict()
        for folder in (together, tmp_path / "alone")
    ]
    # Two processes see other pictures than one alone, so they come to other weights.
    assert not torch.equal(*(state["model.visual.blocks.0.attn.qkv.weight"] for state in states))


def test_a_killed_training_goes_on_with_the_same_losses(dataset: Path, tmp_path: Path) -> None:
    config = tiny(
        # Of its weights some are AdamW's, the others Muon's.
        train={"steps": 8, "eyes_first": 3, "place_loss": 0.5, "optimizer": "muon"},
        data={"augment": 0.05},
    )
    settings = tmp_path / "settings.toml"
    settings.write_text(_toml(config), encoding="utf-8")
    train([dataset], tmp_path / "whole", config, quiet=True)
    killed = tmp_path / "killed"
    arguments = ("train", dataset, "-c", settings, "--out", killed, "--quiet")
    killed_when(killed, "checkpoints/0*", "examples.gazex", *arguments)
    assert train([dataset], killed, load_config(settings), quiet=True).steps == 8
    assert losses(killed) == losses(tmp_path / "whole")
    weights = [
        AutoModelForImageTextToText.from_pretrained(folder / "model", local_files_only=True).state_dict()
        for folder in (killed, tmp_path / "whole")
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_an_interrupted_training_says_how_to_go_on(dataset: Path, tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal's group, those that load pictures too."""
    settings = tmp_path / "settings.toml"
    settings.write_text(_toml(tiny(train={"steps": 100_000}, data={"workers": 1})), encoding="utf-8")
    command = [sys.executable, "-m", "examples.gazex", "train", str(dataset), "-c", str(settings), "--out",
               str(tmp_path / "run"), "--quiet"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        limit = time.monotonic() + 240
        while not list(tmp_path.glob("run/checkpoints/0*")):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted; the same command goes on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("asked", "name"),
    [({"optimizer": "muon"}, "optimizer"), ({"eyes_first": 5, "place_loss": 0.5}, "eyes_first")],
)
def test_what_needs_whole_weights_is_refused_where_they_are_shared_out(
    asked: dict[str, Any], name: str
) -> None:
    with pytest.raises(TrainerError, match=f"train.{name} ") as caught:
        _refuse_what_needs_whole_weights(TrainSettings.model_validate(asked))
    assert caught.value.code == "GX-CONFIG"
    _refuse_what_needs_whole_weights(TrainSettings())


def test_other_settings_need_another_folder(dataset: Path, tmp_path: Path) -> None:
    train([dataset], tmp_path, tiny(train={"steps": 2}), quiet=True)
    with pytest.raises(TrainerError) as caught:
        train([dataset], tmp_path, tiny(train={"steps": 2, "learning_rate": 1e-4}), quiet=True)
    assert caught.value.code == "GX-OTHER-CONFIG"


def test_memory_that_ends_is_an_error_that_says_what_to_lower(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainerError) as caught:
        train(
            [dataset], tmp_path, tiny(train={"batch_size": 10**15}), quiet=True
        )  # more than can be addressed
    assert caught.value.code == "GX-MEMORY"
    assert "batch_size" in caught.value.hint


def test_a_loss_that_is_no_number_ends_the_training(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainerError) as caught:
        train(
            [dataset],
            tmp_path,
            tiny(
                train={"steps": 5, "learning_rate": 1e30, "warmup_share": 0.0},
                tasks={"weights": {"presence": 1}},
            ),
            quiet=True,
        )
    assert caught.value.code == "GX-DIVERGED"


def test_training_stops_where_validation_no_longer_improves(dataset: Path, tmp_path: Path) -> None:
    config = tiny(
        train={"steps": 60, "patience": 2, "validate_every": 1, "learning_rate": 0.3, "warmup_share": 0.0}
    )
    done = train([dataset], tmp_path, config, quiet=True)
    assert done.stopped_early
    assert done.steps < 60


def test_probabilities_follow_what_was_learnt(dataset: Path, tmp_path: Path) -> None:
    config = tiny(
        tasks={"weights": {"presence": 1.0}},
        train={"steps": 90, "batch_size": 8, "learning_rate": 2e-3, "save_every": 90},
    )
    done = train([dataset], tmp_path, config, quiet=True)
    ready, config, _ = load_trained(done.model)
    split = load_split([dataset], "test", config)
    data = ExampleDataset(split.examples, split.paths, ready.processor, config.data)
    sure = {
        split.examples[k].about("label"): word_probability(ready, [data[k, None]])[0]
        for k in range(len(split.examples))
    }
    assert sure["Cardiomegaly"] > 0.7
    assert sure["Pneumothorax"] < 0.3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 1, "GX-NO-SHARDS"),
        (["{dataset}", "-c", "{bad}"], 1, "data.format"),
        (["{dataset}", "--model", "nowhere"], 1, "GX-MODEL"),
    ],
)
def test_a_refusal_is_one_clear_error(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    from examples.gazex.cli import main

    bad = tmp_path / "bad.toml"
    bad.write_text('[data]\nformat = "xml"\n', encoding="utf-8")
    filled = [a.format(dataset=dataset, bad=bad) for a in arguments]
    assert main(["train", *filled, "--out", str(tmp_path / "out")]) == code
    assert said in capsys.readouterr().err


def _toml(config: Config) -> str:
    """Return settings as TOML; all of ours are numbers, texts and one table."""
    lines = []
    for section, values in config.model_dump(mode="json", exclude_none=True).items():
        lines.append(f"[{section}]")
        for name, value in values.items():
            if isinstance(value, dict):
                inner = ", ".join(f"{k} = {v}" for k, v in value.items())
                lines.append(f"{name} = {{ {inner} }}")
            else:
                lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines)
