"""The trainer's demo: how its steps are run."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from examples.gazex.demo_train import _both, _run


def test_a_step_that_fails_ends_the_demo_and_its_seconds_are_those_of_its_processes() -> None:
    busy = "import time; e = time.process_time() + 0.2\nwhile time.process_time() < e: pass"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    used = _run([sys.executable, "-c", nested], os.environ)
    if hasattr(os, "wait4"):
        assert used is not None
        assert used >= 0.2, "what a step's own processes take counts"
    with pytest.raises(subprocess.CalledProcessError) as told:
        _run([sys.executable, "-c", "raise SystemExit(3)"], os.environ)
    assert told.value.returncode == 3


def test_what_goes_beside_each_other_is_waited_for_and_fails_together() -> None:
    done: list[str] = []

    def slow() -> None:
        time.sleep(0.05)
        done.append("slow")

    _both(slow, lambda: done.append("quick"))
    assert sorted(done) == ["quick", "slow"]
    with pytest.raises(ZeroDivisionError):
        _both(slow, lambda: done.append(str(1 / 0)))
    assert done.count("slow") == 2
