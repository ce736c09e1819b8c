"""What a training tells: a line of JSON per report, TensorBoard's curves, a line on the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["TrainLog", "UnheardLog"]

LOG_FILE = "log.jsonl"


class TrainLog:
    """Appends to ``folder/log.jsonl`` and ``folder/tensorboard``.

    What an earlier run wrote after ``first_step`` is dropped: it is done again.
    """

    def __init__(self, folder: Path, *, first_step: int, n_steps: int, quiet: bool = False) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOG_FILE
        kept = [line for line in _lines(path) if int(json.loads(line).get("step", 0)) <= first_step]
        path.write_text("".join(kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
        self._n_steps, self._quiet = n_steps, quiet

    def report(self, step: int, **values: Any) -> None:
        """Write one report."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(name, value, step)
        if not self._quiet:
            shown = "  ".join(f"{name} {_short(value)}" for name, value in values.items())
            sys.stderr.write(f"step {step}/{self._n_steps}  {shown}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._board.close()


class UnheardLog:
    """What all processes but the first write to: nothing."""

    def report(self, step: int, **values: Any) -> None:
        """Take a report that the first process writes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """There is nothing to close."""


def _lines(path: Path) -> list[str]:
    """Return the whole lines of a log; a last one that a kill cut off is left out."""
    if not path.exists():
        return []
    return [
        line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("}\n")
    ]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
