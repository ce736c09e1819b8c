"""A user's own stream profiles in SESSION/profiles/, so that a session is read elsewhere as it was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gazecapture import profiles
from gazecapture.files import as_tool_error, make_private_folder, write_bytes_atomically
from gazecapture.profiles import Profile
from gazecapture.session.schema import StreamInfo
from keyframes.errors import ConfigError

__all__ = ["keep_profiles", "load_own_profiles", "profile_of", "session_profiles"]

FOLDER = "profiles"


def load_own_profiles(paths: Iterable[Path]) -> tuple[Profile, ...]:
    """Read profile files.

    Raises ConfigError where one is broken, or has the name of another one or of a built-in profile.
    """
    found: dict[str, Profile] = {}
    taken = {profile.name for profile in profiles.load_profiles()} | {profiles.NO_TRACKER}
    for path in paths:
        profile = profiles.load_profile(path)
        if profile.name in found or profile.name in taken:
            raise ConfigError(
                f"{path}: a profile named {profile.name!r} is there already",
                hint="Give it a name of its own: readings say by it how they were read.",
                path=path,
            )
        found[profile.name] = profile
    return tuple(found.values())


def keep_profiles(session: Path, paths: Sequence[Path]) -> None:
    """Copy profile files into the session, each under its profile's name."""
    for path in paths:
        profile = profiles.load_profile(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise as_tool_error(error, path, "reading the profile") from error
        write_bytes_atomically(make_private_folder(session / FOLDER) / f"{profile.name}.toml", content)


def session_profiles(session: Path) -> tuple[Profile, ...]:
    """Return the profiles that the session brings with it. Raises ConfigError where one is broken."""
    return tuple(profiles.load_profile(path) for path in sorted((session / FOLDER).glob("*.toml")))


def profile_of(session: Path, info: StreamInfo, *, override: Sequence[Profile] = ()) -> Profile | None:
    """Return the profile that reads a recorded stream: of ``override``, else of the session, else a built-in one."""
    for profile in sorted(override, key=lambda p: -p.priority):
        if profile.fits(info):
            return profile
    return profiles.match(info, extra=session_profiles(session))
