"""What a stream profile says, read from TOML, and which one fits a stream."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from gazecapture.session.schema import StreamChannel, StreamInfo
from keyframes.errors import ConfigError

__all__ = [
    "ChannelRule",
    "MatchRule",
    "Missing",
    "Profile",
    "SceneCamera",
    "load_profile",
    "load_profiles",
    "match",
]

_CHECKED = ConfigDict(extra="forbid")


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class MatchRule:
    """Which streams the profile is for; every list that is given must have a member that fits."""

    type: tuple[str, ...] = ()
    """StreamInfo.type, in any case."""
    name: tuple[str, ...] = ()
    """Regular expressions for the stream's name."""
    manufacturer: tuple[str, ...] = ()
    """Regular expressions for desc/acquisition/manufacturer."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class ChannelRule:
    """Channels that hold ``field``; every list that is given must have a member that fits, in any case."""

    field: Literal["x", "y", "valid", "pupil", "pupil_valid", "confidence", "frame_number", "device_time"]
    kind: tuple[str, ...] = ()
    """The channel's type or metatype."""
    label: tuple[str, ...] = ()
    coordinate_system: tuple[str, ...] = ()
    undescribed: bool = False
    """The one channel that the sender sends and does not describe; nothing where there are several."""
    eye: Literal["", "left", "right", "both"] = ""
    """Empty: as the channel says, both where it says nothing."""
    unit: str = ""
    """Empty: as the channel says."""
    scale: float = 1.0
    """Multiplies the values: 2 makes a diameter of a radius."""
    y_up: bool = False
    """The sender's origin is at the bottom."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Missing:
    """How the sender marks what it does not see; NaN always means missing."""

    position: tuple[float, ...] = ()
    """x and y both equal one of these."""
    pupil: tuple[float, ...] = ()
    confidence_at_most: float | None = None
    """A sample of this confidence or less has no valid gaze."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class SceneCamera:
    """Size of the scene camera's picture, where a sender gives shares of it."""

    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Profile:
    """How to read one kind of sender."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    title: str
    priority: int = 0
    """Of several profiles that fit, the greatest wins."""
    frame: Literal["screen", "scene"] = "screen"
    """Where x and y are: on the screen, or in the picture of a scene camera, which is not on the screen until a
    mapper has put it there."""
    scene: SceneCamera | None = None
    source: Literal["live", "mouse"] = "live"
    """What every gaze row says it comes from."""
    match: MatchRule
    channel: tuple[ChannelRule, ...] = Field(min_length=1)
    missing: Missing = Missing()

    def channels(self, info: StreamInfo, field: str) -> list[tuple[str, StreamChannel, ChannelRule]]:
        """Return (eye, channel, rule) of the channels that hold ``field``; the first one per eye counts."""
        found: dict[str, tuple[str, StreamChannel, ChannelRule]] = {}
        for rule in self.channel:
            if rule.field != field:
                continue
            for channel in self._held_by(info, rule):
                eye = rule.eye or _eye(channel.eye)
                found.setdefault(eye, (eye, channel, rule))
        return list(found.values())

    def may_fit(self, *, name: str, kind: str) -> bool:
        """Say whether a stream of which only name and type are known can be of this kind."""
        return _among(kind, self.match.type) and _matches(name, self.match.name)

    def fits(self, info: StreamInfo) -> bool:
        """Say whether the stream is of this kind and has at least one pair of x and y."""
        if not self.may_fit(name=info.name, kind=info.kind):
            return False
        if not _matches(info.tracker.manufacturer, self.match.manufacturer):
            return False
        x_eyes = {eye for eye, _, _ in self.channels(info, "x")}
        y_eyes = {eye for eye, _, _ in self.channels(info, "y")}
        return bool(x_eyes & y_eyes)

    @staticmethod
    def _held_by(info: StreamInfo, rule: ChannelRule) -> list[StreamChannel]:
        if rule.undescribed:
            bare = [channel for channel in info.channels if not (channel.label or channel.kind)]
            return bare if len(bare) == 1 else []
        return [
            channel
            for channel in info.channels
            if _among(channel.kind, rule.kind)
            and _among(channel.label, rule.label)
            and _among(channel.coordinate_system, rule.coordinate_system)
        ]


def load_profile(path: Path) -> Profile:
    """Read a user's profile file. Raises ConfigError, naming the field, where it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the profile cannot be read", path=path) from error
    return _parse(text, str(path))


@functools.cache
def load_profiles() -> tuple[Profile, ...]:
    """Return the built-in profiles, greatest priority first."""
    folder = resources.files("gazecapture.profiles")
    found = [
        _parse(file.read_text(encoding="utf-8"), file.name)
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    ]
    return tuple(sorted(found, key=lambda p: (-p.priority, p.name)))


def match(info: StreamInfo, *, extra: Iterable[Profile] = ()) -> Profile | None:
    """Return the profile that reads the stream, or None. ``extra`` are a user's own, which come first.

    A stream that names its profile (it did when it was recorded) keeps that one where it still fits: first a user's
    own of that name, then the built-in one.
    """
    own = sorted(extra, key=lambda p: -p.priority)
    fitting = [profile for profile in (*own, *load_profiles()) if profile.fits(info)]
    named = [profile for profile in fitting if profile.name == info.profile]
    return next(iter(named or fitting), None)


def _parse(text: str, where: str) -> Profile:
    try:
        profile = TypeAdapter(Profile).validate_python(tomllib.loads(text))
        for pattern in (*profile.match.name, *profile.match.manufacturer):
            re.compile(pattern)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not a TOML file: {error}") from None
    except re.error as error:
        raise ConfigError(f"{where}: match: {error.pattern!r} is no regular expression: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: field {place!r}: {first['msg']}") from None
    return profile


def _among(value: str, allowed: tuple[str, ...]) -> bool:
    return not allowed or value.casefold() in {a.casefold() for a in allowed}


def _matches(value: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(re.search(p, value, re.IGNORECASE) for p in patterns)


def _eye(said: str) -> str:
    said = said.strip().casefold()
    return said if said in ("left", "right") else "both"
