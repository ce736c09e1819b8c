"""The settings of section [dask]: where the workers of a cluster come from. No result depends on them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["DaskConfig", "SlurmConfig"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SlurmConfig(_Section):
    """[dask.slurm]: jobs that dask-jobqueue submits; each is one worker, or ``processes`` of them."""

    jobs: Annotated[int, Field(ge=1, le=10_000)] = 1
    cores: Annotated[int, Field(ge=1, le=1024)] = 1
    """Of one job."""
    processes: Annotated[int, Field(ge=1, le=1024)] = 1
    """Workers of one job; as many as cores is best, because a reading is one processor's work."""
    memory: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] = "2GiB"
    """Of one job, shared by its workers; 1 GiB per worker is enough for films of 3,000 x 3,000 pixels."""
    walltime: Annotated[str, Field(pattern=r"^(\d+-)?\d{1,2}:\d{2}:\d{2}$")] = "04:00:00"
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    """Network interface that workers and scheduler talk over, such as ib0."""
    directives: tuple[str, ...] = ()
    """More lines of #SBATCH, without that word."""
    prologue: tuple[str, ...] = ()
    """Lines of shell before the worker starts, such as `module load` or `source .../activate`."""


class DaskConfig(_Section):
    """[dask]: a scheduler that is running, or jobs of SLURM; `--scheduler` goes before both."""

    scheduler: str | None = None
    """Its address, such as tls://host:8786."""
    slurm: SlurmConfig | None = None
    worker_wait_s: Annotated[float, Field(gt=0.0, le=604_800.0)] = 600.0
    """With no worker at all for so long the run ends. A queue may need longer."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.scheduler is not None and self.slurm is not None:
            raise ValueError("scheduler and slurm exclude each other")
        return self
