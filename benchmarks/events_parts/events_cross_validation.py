"""Cross-validation by person: fit on the recordings of all others, report on the ones left out.

Fitting is by coordinates, from the defaults, over a small grid of each parameter: two rounds, one parameter after
the other, the best value kept. The same fit on all recordings is the in-sample figure. All measures pool counts, so
what a recording contributes is computed once per set of parameters.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["CrossValidation", "cross_validate", "describe_scatter"]

P = TypeVar("P", bound="DataclassInstance")
E = TypeVar("E")

GRID = (0.65, 0.8, 1.0, 1.25, 1.55)
"""Factors of the default that are tried for each parameter."""

ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """What fitting gave."""

    defaults: dict[str, float]
    """Measures of the default parameters on all recordings: in-sample."""
    fitted: dict[str, float]
    """Of the parameters fitted to all recordings: in-sample."""
    held_out: dict[str, float]
    """Of parameters fitted without a person, on that person's recordings, pooled."""
    scatter: dict[str, tuple[Any, list[float]]]
    """Default, and the factors of it that the folds chose."""
    n_folds: int


class _Fit(Generic[P, E]):
    """Fits one detector's parameters; remembers what each set gave."""

    def __init__(
        self,
        defaults: P,
        evidence: Callable[[P, int], E],
        objective: Callable[[Sequence[E]], float],
    ) -> None:
        self.defaults = defaults
        self.evidence = evidence
        self.objective = objective
        self.names = [field.name for field in fields(defaults) if _is_number(getattr(defaults, field.name))]
        self.known: dict[tuple[tuple[float, ...], int], E] = {}

    def parameters(self, factors: tuple[float, ...]) -> P:
        """Return the defaults, each times its factor."""
        changes = {
            name: _times(getattr(self.defaults, name), factor)
            for name, factor in zip(self.names, factors, strict=True)
        }
        return replace(self.defaults, **changes)

    def of(self, factors: tuple[float, ...], recordings: Sequence[int]) -> list[E]:
        """Return what those recordings contribute under those factors."""
        for recording in recordings:
            if (factors, recording) not in self.known:
                self.known[factors, recording] = self.evidence(self.parameters(factors), recording)
        return [self.known[factors, recording] for recording in recordings]

    def fit(self, recordings: Sequence[int]) -> tuple[float, ...]:
        """Return the best factors for those recordings."""
        best = (1.0,) * len(self.names)
        highest = self.objective(self.of(best, recordings))
        for _ in range(ROUNDS):
            before = best
            for at in range(len(self.names)):
                for factor in GRID:
                    tried = (*best[:at], factor, *best[at + 1 :])
                    reached = self.objective(self.of(tried, recordings))
                    if reached > highest + 1e-9:
                        best, highest = tried, reached
            if best == before:
                break
        return best


def cross_validate(
    defaults: P,
    persons: Sequence[str],
    evidence: Callable[[P, int], E],
    measures: Callable[[Sequence[E]], Mapping[str, float]],
    objective: Callable[[Mapping[str, float]], float],
) -> CrossValidation:
    """Fit and report.

    defaults : a dataclass; its numbers, and tuples of numbers by a common factor, are fitted.
    persons  : who was recorded, one per recording.
    evidence : what recording i contributes to the measures under some parameters.
    """
    fit = _Fit(defaults, evidence, lambda found: objective(measures(found)))
    everything = list(range(len(persons)))
    unchanged = (1.0,) * len(fit.names)
    in_sample = fit.fit(everything)
    folds, held_out = [], []
    for person in dict.fromkeys(persons):
        left_out = [i for i in everything if persons[i] == person]
        folds.append(fit.fit([i for i in everything if persons[i] != person]))
        held_out += fit.of(folds[-1], left_out)
    return CrossValidation(
        defaults=dict(measures(fit.of(unchanged, everything))),
        fitted=dict(measures(fit.of(in_sample, everything))),
        held_out=dict(measures(held_out)),
        scatter={
            name: (getattr(defaults, name), [fold[at] for fold in folds]) for at, name in enumerate(fit.names)
        },
        n_folds=len(folds),
    )


def describe_scatter(factors: list[float]) -> str:
    """Return the median and the range of the factors."""
    return f"x{statistics.median(factors):.2f} ({min(factors):.2f} to {max(factors):.2f})"


def _is_number(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_number(one) for one in value)
    return isinstance(value, float)


def _times(value: Any, factor: float) -> Any:
    return tuple(one * factor for one in value) if isinstance(value, tuple) else value * factor
