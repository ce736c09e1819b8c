"""Settings of a reading room, from a TOML file: validation, calibration, consent, order of films. No Qt."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from gazecapture.screen.policy import ValidationPolicy
from gazecapture.screen.validation import Timing
from gazecapture.viewer.consent_form import CONSENT_TEXT, CONSENT_VERSION
from gazecapture.viewer.flow import BREAK_EVERY_FILMS, ReadingRules
from keyframes.errors import ConfigError
from keyframes.reading import SITE_CODE

__all__ = [
    "CalibrationSettings",
    "ConsentSettings",
    "DisplaySettings",
    "ReadingSettings",
    "RoomSettings",
    "ValidationSettings",
    "load_room_settings",
]

_CHECKED = ConfigDict(extra="forbid")
_DEFAULT, _TIMING = ValidationPolicy(), Timing()
LONGEST_TIMEOUT_S = 6.0
"""s per point: nine points that nobody looks at then take under a minute."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class ValidationSettings:
    """Table ``[validation]``; the fields of `ValidationPolicy`, 0 switches a limit off."""

    at_start: bool = _DEFAULT.at_start
    every_readings: int = Field(default=_DEFAULT.every_readings, ge=0)
    every_s: float = Field(default=_DEFAULT.every_s, ge=0, allow_inf_nan=False)
    at_end: bool = _DEFAULT.at_end
    drift_between: bool = _DEFAULT.drift_between
    drift_warn_deg: float = Field(default=_DEFAULT.drift_warn_deg, gt=0, allow_inf_nan=False)
    red_blocks: bool = _DEFAULT.red_blocks
    pupil_baseline: bool = False
    """Show a fixation cross for 15 s before the first validation."""
    settle_s: float = Field(default=_TIMING.settle_s, gt=0, allow_inf_nan=False)
    window_s: float = Field(default=_TIMING.window_s, gt=0, allow_inf_nan=False)
    timeout_s: float = Field(default=_TIMING.timeout_s, gt=0, le=LONGEST_TIMEOUT_S)

    def __post_init__(self) -> None:
        if self.settle_s + self.window_s > self.timeout_s:
            raise ValueError("settle_s and window_s together are longer than timeout_s")

    def policy(self) -> ValidationPolicy:
        """Return what of it `SittingQuality` goes by."""
        return ValidationPolicy(**{f.name: getattr(self, f.name) for f in fields(ValidationPolicy)})

    def timing(self) -> Timing:
        """Return how long each point is shown."""
        return Timing(settle_s=self.settle_s, window_s=self.window_s, timeout_s=self.timeout_s)


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class CalibrationSettings:
    """Table ``[calibration]``."""

    commands: Mapping[str, str] = field(default_factory=dict)
    """By stream profile, such as ``eyelink``: the program that calibrates this tracker, with its arguments. ``*`` is
    for every tracker that is not named. It gets the screen until it ends."""

    def command(self, profile: str) -> str:
        """Return the command for a tracker of this stream profile; empty where there is none."""
        return self.commands.get(profile, self.commands.get("*", ""))


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class ReadingSettings:
    """Table ``[reading]``."""

    break_every_films: int = Field(default=BREAK_EVERY_FILMS, ge=0)
    """Films after which a break is offered; 0: never."""
    indication: Literal["before", "beside"] = "beside"
    """Where the indication is shown: before the film, on a screen of its own, or above it."""
    edit_transcript: bool = False
    """After each film the reader may correct the words that were understood."""
    talk_key: str = "T"
    """Key or pedal that is held to dictate, as Qt names it: ``T``, ``F13``, ``Ins``."""

    def rules(self) -> ReadingRules:
        """Return how films follow each other."""
        return ReadingRules(
            break_every_films=self.break_every_films,
            indication_before=self.indication == "before",
            edits_transcript=self.edit_transcript,
        )


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class DisplaySettings:
    """Table ``[display]``: what `gazecapture validate --display-lag` measured on this screen."""

    lag_ms: float | None = Field(default=None, ge=0, le=1000, allow_inf_nan=False)
    lag_sd_ms: float = Field(default=0.0, ge=0, le=1000, allow_inf_nan=False)


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class ConsentSettings:
    """Table ``[consent]``: what a reader is asked before the first reading."""

    version: str = Field(default=CONSENT_VERSION, min_length=1, max_length=64)
    text: str = Field(default=CONSENT_TEXT, min_length=1, max_length=4000)
    """A lab's own has a version of its own: readers are asked again when it changes."""

    def __post_init__(self) -> None:
        if (self.version == CONSENT_VERSION) != (self.text == CONSENT_TEXT):
            raise ValueError("version and text go together: give both")


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class RoomSettings:
    """The file as a whole; all of it may be left out."""

    site: str = Field(default="", pattern=rf"^(?:{SITE_CODE})?$")
    """Code of the place, such as S1; never its name: it travels with the data."""
    validation: ValidationSettings = ValidationSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    reading: ReadingSettings = ReadingSettings()
    display: DisplaySettings = DisplaySettings()
    consent: ConsentSettings = ConsentSettings()


def load_room_settings(path: Path) -> RoomSettings:
    """Read a settings file. Raises ConfigError, naming the field, where it is not one."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the settings cannot be read", path=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}", path=path) from None
    try:
        return TypeAdapter(RoomSettings).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: field {place!r}: {first['msg']}", path=path) from None
