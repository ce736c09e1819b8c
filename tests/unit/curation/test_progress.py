"""What a run says while it goes on, where nobody looks at a terminal."""

from __future__ import annotations

import json

import pytest

from curation.cli.options import progress_shown


def test_json_lines_tell_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_shown("curate", as_json=True) as progress:
        progress(0, 4, 0)
        progress(1, 4, 0)  # too soon after the first one
        progress(4, 4, 1)
    first, last = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["done"], first["seconds_left"]) == (0, None)
    assert (last["done"], last["total"], last["failed"], last["seconds_left"]) == (4, 4, 1, 0.0)
    assert last["per_second"] > 0


def test_lines_tell_them_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.0, 20.0, 40.0])
    monkeypatch.setattr("curation.cli.options.time.monotonic", lambda: next(now))
    with progress_shown("curate", as_json=False) as progress:
        progress(0, 4, 0)
        progress(1, 4, 1)
        progress(4, 4, 1)
    assert capsys.readouterr().err.splitlines() == [
        "curate: 0/4 (0.0 s)",
        "curate: 1/4, 1 failed (20.0 s, 0.05 per s, 0:01:00 left)",
        "curate: 4/4, 1 failed (40.0 s)",
    ]
