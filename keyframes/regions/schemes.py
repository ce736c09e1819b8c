"""Letter schemes: which region belongs to which step of a reading order, and which of two regions wins.

A scheme is a TOML file, so that nothing here knows a chest. Published letter schemes contradict each other (B is the
lungs or the bones), so several are packaged, and every output names the scheme that it was made with.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keyframes.errors import ConfigError

__all__ = ["DEFAULT_SCHEME", "Scheme", "SchemeRegion", "load_scheme", "packaged_schemes", "parse_scheme"]

DEFAULT_SCHEME = "gazex-v1"
_FOLDER = "scheme_files"
_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeRegion:
    """What a scheme says of one region."""

    name: str
    letter: str
    priority: int
    """0 wins over 1; regions of one group share it."""
    alternates: tuple[str, ...] = ()
    """Letters that other schemes give it."""
    area: str = ""
    """Which of the scheme's coarse areas it lies in; empty where it lies in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Letters in reading order, and the letter and priority of every region."""

    name: str
    title: str
    letters: tuple[tuple[str, str], ...]
    """(letter, title) in reading order."""
    regions: Mapping[str, SchemeRegion]
    outside: str
    """Name of the pseudo-region of everything that lies in no region; it is one of ``regions`` and loses to all."""
    body_part: str = ""
    """What the pictures show, lower case; empty where the scheme does not say."""
    areas: tuple[str, ...] = ()
    """Coarse areas that a trainer asks for by name, each made of some regions."""
    content_hash: str = ""
    """16 hex digits that change with any character of the file."""

    def __contains__(self, region: object) -> bool:
        return region in self.regions

    def letter_of(self, region: str) -> str:
        """Return the letter of a region. Raises ConfigError where the scheme does not know it."""
        return self._region(region).letter

    def priority(self, region: str) -> int:
        """Return the priority of a region, 0 first. Raises ConfigError where the scheme does not know it."""
        return self._region(region).priority

    def _region(self, name: str) -> SchemeRegion:
        try:
            return self.regions[name]
        except KeyError:
            raise ConfigError(
                f"scheme {self.name!r} has no region {name!r}", hint="Add it to one of the scheme's groups."
            ) from None


Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]


class _Entry(BaseModel):
    """Fields shared by the parts of a scheme file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Letter(_Entry):
    letter: Name
    title: Name


class _Region(_Entry):
    name: Name
    letter: Name
    alternates: tuple[Name, ...] = ()
    area: Name | None = None


class _Group(_Entry):
    name: Name
    regions: Annotated[tuple[_Region, ...], Field(min_length=1)]


class _SchemeFile(_Entry):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    title: Name
    body_part: Annotated[str, Field(pattern=r"^[a-z][a-z ]{0,31}$")] | None = None
    areas: tuple[Name, ...] = ()
    outside: _Region
    letters: Annotated[tuple[_Letter, ...], Field(min_length=1)]
    groups: Annotated[tuple[_Group, ...], Field(min_length=1)]


def packaged_schemes() -> tuple[str, ...]:
    """Return the names of the schemes that come with the package, sorted."""
    folder = files("keyframes.regions") / _FOLDER
    return tuple(sorted(f.name.removesuffix(_SUFFIX) for f in folder.iterdir() if f.name.endswith(_SUFFIX)))


def load_scheme(name: str | Path = DEFAULT_SCHEME) -> Scheme:
    """Return a packaged scheme by its name, or a user's own by the path of its TOML file.

    A string is a path where it ends in ``.toml``. Raises ConfigError where there is no such scheme, its content is
    off (the message names the field), or a file of the user's own bears a packaged scheme's name: outputs tell
    schemes apart by their names.
    """
    if isinstance(name, str) and not name.endswith(_SUFFIX):
        return _packaged(name)
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"the scheme file cannot be read: {reason}", path=path) from error
    scheme = parse_scheme(text, path=path)
    if scheme.name in packaged_schemes() and scheme.content_hash != _packaged(scheme.name).content_hash:
        raise ConfigError(
            f"the scheme is called {scheme.name!r} like a packaged one, but differs from it",
            hint="Give it a name of its own.",
            path=path,
        )
    return scheme


@cache
def _packaged(name: str) -> Scheme:
    """Return a packaged scheme."""
    known = packaged_schemes()
    if name not in known:
        raise ConfigError(
            f"there is no scheme {name!r}",
            hint=f"Packaged: {', '.join(known)}. A file of your own must end in {_SUFFIX}.",
        )
    return parse_scheme(
        (files("keyframes.regions") / _FOLDER / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    )


def parse_scheme(text: str, *, path: Path | None = None) -> Scheme:
    """Return the scheme that a TOML text holds; ``path`` is for messages only.

    Raises ConfigError, naming the field, where the text is no TOML, a field is absent, unknown or off, a letter
    or an area is declared twice or not at all, or a region is listed twice.
    """
    try:
        content = _SchemeFile.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"the scheme is no valid TOML: {error}", path=path) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the scheme's field {place!r} is off: {first['msg']}", path=path) from error
    letters = [entry.letter for entry in content.letters]
    for kind, declared in (("letter", letters), ("area", list(content.areas))):
        for entry in declared:
            if declared.count(entry) > 1:
                raise ConfigError(f"the scheme declares {kind} {entry!r} twice", path=path)
    regions: dict[str, SchemeRegion] = {}
    listed = [(rank, region) for rank, group in enumerate(content.groups) for region in group.regions]
    for rank, region in (*listed, (len(content.groups), content.outside)):
        for letter in (region.letter, *region.alternates):
            if letter not in letters:
                raise ConfigError(
                    f"the scheme's region {region.name!r} has letter {letter!r}, which [[letters]] does not declare",
                    hint=f"Declared: {', '.join(letters)}.",
                    path=path,
                )
        if region.area is not None and region.area not in content.areas:
            raise ConfigError(
                f"the scheme's region {region.name!r} has area {region.area!r}, which areas does not declare",
                hint=f"Declared: {', '.join(content.areas) or 'none'}.",
                path=path,
            )
        if region.name in regions:
            raise ConfigError(f"the scheme lists region {region.name!r} twice", path=path)
        regions[region.name] = SchemeRegion(
            name=region.name,
            letter=region.letter,
            priority=rank,
            alternates=region.alternates,
            area=region.area or "",
        )
    return Scheme(
        name=content.name,
        title=content.title,
        letters=tuple((entry.letter, entry.title) for entry in content.letters),
        regions=MappingProxyType(regions),
        outside=content.outside.name,
        body_part=content.body_part or "",
        areas=content.areas,
        content_hash=hashlib.sha256(text.encode()).hexdigest()[:16],
    )
