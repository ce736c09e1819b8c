"""When a sitting's gaze is measured, and what a bad result means. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gazecapture.screen.measures import Light

__all__ = ["SittingQuality", "Step", "ValidationPolicy"]

Step = Literal["validate", "drift", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPolicy:
    """What is measured when. A limit of 0 switches its rule off."""

    at_start: bool = True
    every_readings: int = 10
    every_s: float = 1200.0
    """With `every_readings`: the customary 20 minutes or 10 cases, whichever comes first."""
    at_end: bool = True
    drift_between: bool = True
    """A one-point check before each reading that no validation precedes."""
    drift_warn_deg: float = 1.0
    """An offset beyond it is worth a validation, which then replaces the next drift check."""
    red_blocks: bool = True
    """After a red validation the next reading waits for a calibration, or for somebody's reason to go on."""

    @classmethod
    def off(cls) -> ValidationPolicy:
        """Return the policy of a sitting without a tracker."""
        return cls(at_start=False, every_readings=0, every_s=0.0, at_end=False, drift_between=False)


class SittingQuality:
    """What was measured in a sitting so far, and what is due by the policy."""

    def __init__(self, policy: ValidationPolicy) -> None:
        self.policy = policy
        self._validated_ns: int | None = None
        self._light: Light | None = None
        self._overridden = False
        self._n_since_validation = 0
        self._is_drift_fresh = False
        self._asks_validation = False

    @property
    def light(self) -> Light | None:
        """Of the last validation; None before the first."""
        return self._light

    @property
    def is_blocked(self) -> bool:
        """Say whether the next reading must wait: the last validation was red and nobody gave a reason to go on."""
        return self.policy.red_blocks and self._light is Light.RED and not self._overridden

    def before_reading(self, now_ns: int) -> Step:
        """Return what is due before the next reading is shown."""
        policy = self.policy
        if self._validated_ns is None:
            due = policy.at_start
        else:
            n_due = policy.every_readings > 0 and self._n_since_validation >= policy.every_readings
            t_due = policy.every_s > 0 and (now_ns - self._validated_ns) / 1e9 >= policy.every_s
            due = n_due or t_due
        if due or self.is_blocked or self._asks_validation:
            return "validate"
        is_first = self._validated_ns is not None and self._n_since_validation == 0
        if policy.drift_between and not is_first and not self._is_drift_fresh:
            return "drift"
        return "none"

    def after_last_reading(self) -> Step:
        """Return what is due at the end; nothing where nothing was read since the last validation."""
        return "validate" if self.policy.at_end and self._n_since_validation > 0 else "none"

    def validated(self, now_ns: int, light: Light) -> None:
        """Take the result of a validation."""
        self._validated_ns, self._light = now_ns, light
        self._overridden = self._asks_validation = False
        self._n_since_validation = 0
        self._is_drift_fresh = True

    def overridden(self) -> None:
        """Go on in spite of a red validation; the reason is journaled by the caller."""
        self._overridden = True

    def drift_checked(self, offset_deg: float | None) -> None:
        """Take the size of a drift check's offset; None where there are no degrees or no gaze."""
        self._is_drift_fresh = True
        self._asks_validation = offset_deg is not None and offset_deg > self.policy.drift_warn_deg

    def reading_closed(self) -> None:
        """Count a reading."""
        self._n_since_validation += 1
        self._is_drift_fresh = False
