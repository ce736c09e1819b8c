"""What every engine owes: results, a bounded window, dying workers, errors, stopping. Real processes throughout."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from curation.cluster_settings import DaskConfig
from curation.engines.dask import dask_engines
from curation.engines.processes import SerialEngine, process_engines
from curation.engines.protocol import Engine
from curation.manifest import read_lines
from keyframes.errors import RecordingError, UsageError
from tests.conftest import SmallDataset
from tests.dask_cluster import Cluster, cluster
from tests.engine_tasks import die_on, die_once, fail, square, wait_for_stop

N_WORKERS = 2


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dask")) as made:
        made.start_workers(N_WORKERS)
        yield made


@pytest.fixture
def processes() -> Iterator[Engine]:
    with process_engines() as engines:
        yield engines(N_WORKERS)


@pytest.fixture
def dask(dask_cluster: Cluster) -> Iterator[Engine]:
    with dask_engines(DaskConfig(), dask_cluster.address) as engines:
        yield engines(1)


@pytest.fixture(params=["serial", "processes", "dask"])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = SerialEngine() if request.param == "serial" else request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=["processes", "dask"])
def workers(request: pytest.FixtureRequest) -> Engine:
    """An engine with processes that can die."""
    made: Engine = request.getfixturevalue(request.param)
    return made


def test_every_item_comes_once(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    done = list(engine.run(square, range(9)))
    assert sorted((d.item, d.result[0]) for d in done if d.result) == [(i, i * i) for i in range(9)]
    in_here = {d.result[1] == os.getpid() for d in done if d.result}
    assert in_here == {isinstance(engine, SerialEngine)}


def test_no_items(engine: Engine) -> None:
    assert list(engine.run(square, [])) == []


def test_items_are_drawn_only_as_they_are_needed(engine: Engine) -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            drawn.append(item)
            yield item

    for n_done, _ in enumerate(engine.run(square, items()), start=1):
        assert len(drawn) - n_done <= 2 * N_WORKERS
    assert drawn == list(range(20))


def test_an_error_that_escapes_a_task_ends_the_run(engine: Engine) -> None:
    with pytest.raises(ValueError, match="item"):
        list(engine.run(fail, range(3)))


def test_a_deadly_item_is_given_up_and_the_others_are_done(workers: Engine, tmp_path: Path) -> None:
    task = functools.partial(die_on, deadly=frozenset({2}), folder=tmp_path)
    done = {d.item: d.result for d in workers.run(task, range(6))}
    assert done == {0: 0, 1: 1, 2: None, 3: 3, 4: 4, 5: 5}
    assert (tmp_path / "2.log").read_text() == "xx", "tried again exactly once"


def test_an_item_whose_worker_was_killed_by_chance_is_done_again(workers: Engine, tmp_path: Path) -> None:
    done = {d.item: d.result for d in workers.run(functools.partial(die_once, folder=tmp_path), range(5))}
    assert done == {item: item for item in range(5)}


def test_closing_asks_running_tasks_to_stop(workers: Engine, tmp_path: Path) -> None:
    run = workers.run(functools.partial(wait_for_stop, folder=tmp_path), range(50))
    assert next(run).item == 0
    run.close()
    started = {p.stem for p in tmp_path.glob("*.started")} - {"0"}
    assert {p.stem for p in tmp_path.glob("*.stopped")} == started
    assert len(started) < 6


def test_a_worker_killed_in_mid_run_costs_nothing(
    dask_cluster: Cluster, small_dataset: SmallDataset, tmp_path: Path
) -> None:
    store = not_curated(small_dataset.store, tmp_path / "store")
    command = ["run", "--store", store, "--out", tmp_path / "out", "--engine", "dask"]
    run = subprocess.Popen(
        [sys.executable, "-m", "curation", *map(str, command), "--scheduler", dask_cluster.address]
    )
    try:
        with Client(dask_cluster.address, set_as_default=False) as client:
            busy = in_mid_reading(client, run)
            os.kill(client.run(os.getpid)[busy], signal.SIGKILL)
        assert run.wait(timeout=300) == 0
    finally:
        run.kill()
        run.wait()
    assert content(tmp_path / "out") == content(small_dataset.dataset)
    stages = content(store, "*/stages/*/*")
    assert stages == content(small_dataset.store, "*/stages/*/*")
    done = Counter((line.reading_id, line.stage) for line in read_lines(store) if line.stage != "ingest")
    assert sum(done.values()) == len(done) == sum(path.name == "stage.json" for path in stages)


def in_mid_reading(client: Client, run: subprocess.Popen[bytes]) -> str:
    """Wait for a worker to have a reading under way; return its address."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        assert run.poll() is None
        for address, keys in client.processing().items():
            if any(str(key).startswith("gazecurate") for key in keys):
                return str(address)
        time.sleep(0.005)
    raise AssertionError("no reading was ever worked on")


def not_curated(store: Path, copy: Path) -> Path:
    """Copy a store as it was after ingest."""
    shutil.copytree(store, copy)
    for folder in [copy / "readers", *copy.glob("*/stages")]:
        shutil.rmtree(folder)
    (copy / "manifest.jsonl").unlink()
    return copy


def content(folder: Path, pattern: str = "**/*") -> dict[Path, bytes]:
    """Return the bytes of all files."""
    return {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.glob(pattern)) if path.is_file()
    }


def test_a_scheduler_that_is_not_there_or_has_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.engines.dask._REFRESH_S", 0.2)
    with cluster(tmp_path / "empty") as empty:
        with (
            dask_engines(DaskConfig(worker_wait_s=0.5), empty.address) as engines,
            pytest.raises(RecordingError, match="no worker") as refused,
        ):
            list(engines(1).run(square, range(3)))
        assert refused.value.code == "GT-NO-WORKERS"
    monkeypatch.setattr("curation.engines.dask._CONNECT_S", 1.0)
    with pytest.raises(UsageError) as refused_too, dask_engines(DaskConfig(), empty.address):
        pass
    assert refused_too.value.code == "GT-NO-SCHEDULER"
