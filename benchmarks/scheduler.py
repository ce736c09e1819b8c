"""What spreading the work takes per reading: empty tasks of the real size through the engines of `gazecurate run`.

    python benchmarks/scheduler.py [--engines processes dask] [--tasks 100000] [--workers 2] [--json FILE]

A task carries what that of a reading carries (its plan and all settings) and does nothing, so that the engine, for Dask
also scheduler, client and network, are all that is measured. Dask's scheduler and workers are processes on loopback.
CPU-s per task hold on a busy machine too; tasks per second do not.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import pickle
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from curation.cluster_settings import DaskConfig  # noqa: E402
from curation.config import CurationConfig  # noqa: E402
from curation.engines.dask import dask_engines  # noqa: E402
from curation.engines.processes import ProcessEngine  # noqa: E402
from curation.engines.protocol import StopAsked  # noqa: E402
from curation.plan import ReadingPlan, StagePlan  # noqa: E402
from curation.stages import STAGES  # noqa: E402
from tests.dask_cluster import cluster  # noqa: E402


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", nargs="+", choices=["processes", "dask"], default=["processes", "dask"])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, {load}")
    found = {}
    if "processes" in asked.engines:
        found["processes"] = measure(ProcessEngine(asked.workers), asked.tasks)
    if "dask" in asked.engines:
        with tempfile.TemporaryDirectory(prefix="scheduler-") as folder, cluster(Path(folder)) as made:
            made.start_workers(asked.workers)
            with dask_engines(DaskConfig(), made.address) as engines:
                found["dask"] = measure_dask(engines(1), asked.tasks, scheduler_of(made.address))
    print(json.dumps(found, indent=2))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def nothing(plan: ReadingPlan, stop: StopAsked, *, store_root: Path, config: CurationConfig) -> str:
    """Do what `curation.work.curate_reading` does, without the work."""
    return plan.reading_id


def plans(n: int) -> Any:
    """Give plans of readings that have everything to be done."""
    stages = tuple(StagePlan(stage=stage.name, key="0" * 16, reason="not done yet") for stage in STAGES)
    for number in range(n):
        yield ReadingPlan(
            reading_id=f"{number:016x}",
            study_key=f"{number:016x}",
            source_hash="0" * 64,
            stages=stages,
            verdict="ok",
            lead_s=1.5,
        )


def scheduler_of(address: str) -> psutil.Process:
    """Return the process that listens there."""
    port = int(address.rsplit(":", 1)[1])
    for process in psutil.Process().children(recursive=True):
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections()):
            return process
    raise SystemExit(f"nothing listens at {address}")


def measure(engine: Any, n_tasks: int) -> dict[str, float]:
    """Send ``n_tasks`` tasks through the pool of processes and return what they took, its start left out."""
    task = functools.partial(nothing, store_root=Path("/shared/store"), config=CurationConfig())
    me = psutil.Process()
    workers: list[psutil.Process] = []
    before, started = 0.0, 0.0
    for n, _ in enumerate(engine.run(task, plans(n_tasks + 200)), start=1):
        if n == 200:
            workers = me.children()
            before, started = cpu_s(me) + sum(map(cpu_s, workers)), time.perf_counter()
        if n == n_tasks:  # the last ones still wait, so that nobody has left
            used = cpu_s(me) + sum(map(cpu_s, workers)) - before
            seconds = time.perf_counter() - started
    return {
        "tasks": n_tasks - 200,
        "tasks_per_s": round((n_tasks - 200) / seconds, 1),
        "cpu_ms_per_task": round(1000 * used / (n_tasks - 200), 3),
        "task_bytes": len(pickle.dumps(task)) + len(pickle.dumps(next(plans(1)))),
    }


def measure_dask(engine: Any, n_tasks: int, scheduler: psutil.Process) -> dict[str, float]:
    """Send ``n_tasks`` tasks through Dask and return what they took."""
    task = functools.partial(nothing, store_root=Path("/shared/store"), config=CurationConfig())
    for _ in engine.run(task, plans(200)):  # what is loaded once
        pass
    me = psutil.Process()
    before = cpu_s(scheduler), cpu_s(me), psutil.net_io_counters(pernic=True).get("lo")
    memory = [scheduler.memory_info().rss]
    started = time.perf_counter()
    for n, _ in enumerate(engine.run(task, plans(n_tasks)), start=1):
        if n % max(n_tasks // 10, 1) == 0:
            memory.append(scheduler.memory_info().rss)
    seconds = time.perf_counter() - started
    after = psutil.net_io_counters(pernic=True).get("lo")
    sent = after.bytes_sent - before[2].bytes_sent if after is not None and before[2] is not None else 0
    growth = [later - earlier for earlier, later in itertools.pairwise(memory[len(memory) // 2 :])]
    return {
        "tasks": n_tasks,
        "tasks_per_s": round(n_tasks / seconds, 1),
        "scheduler_cpu_ms_per_task": round(1000 * (cpu_s(scheduler) - before[0]) / n_tasks, 3),
        "client_cpu_ms_per_task": round(1000 * (cpu_s(me) - before[1]) / n_tasks, 3),
        "loopback_bytes_per_task": round(sent / n_tasks),
        "task_bytes": len(pickle.dumps(task)) + len(pickle.dumps(next(plans(1)))),
        "scheduler_mib_at_end": round(memory[-1] / 2**20, 1),
        "scheduler_growth_bytes_per_task": round(sum(growth) / max(n_tasks / 2, 1), 1),
    }


def cpu_s(process: psutil.Process) -> float:
    """Return the processor seconds that a process took so far."""
    used = process.cpu_times()
    return used.user + used.system


if __name__ == "__main__":
    main()
