"""Finding Neons on the network by name: their phones announce themselves by multicast DNS.

Only what people choose by is read, and nothing of it is kept: a phone's name is often its owner's.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, UsageError

__all__ = ["FoundNeon", "find_neon", "find_neons", "import_zeroconf", "service_name"]

SERVICE = "_http._tcp.local."
_PREFIX = "PI monitor"
"""First part of a phone's service name, which goes on with its name and its id, all between colons."""
ANSWER_S = 3.0
"""s for a phone to say where it is, once its name was seen; the official client waits as long."""
SEARCH_S = 5.0
"""s; the question is asked three times in it, and a phone that sleeps may miss the first."""
INTERFACES: list[str] | None = None
"""Addresses of the network interfaces on which is asked; None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNeon:
    """A phone that answered."""

    name: str
    """As its owner calls the phone."""
    host: str
    port: int

    @property
    def address(self) -> str:
        """As ``--neon`` takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def import_zeroconf() -> Any:
    """Return the module, with its part ``asyncio``.

    Raises DeviceUnavailableError (library missing) where the extra is not installed.
    """
    try:
        importlib.import_module("zeroconf.asyncio")
        return importlib.import_module("zeroconf")
    except ImportError as error:
        raise DeviceUnavailableError(
            f"finding a Neon needs the neon extra, which is not installed ({error})",
            reason=DeviceUnavailableReason.LIBRARY_MISSING,
            hint='pip install "gazecapture[neon]", or give the address that the app shows under Streaming.',
            code="GT-EXTRA-MISSING",
        ) from error


def service_name(phone_name: str, device_id: str) -> str:
    """Return the name under which a phone announces itself."""
    return f"{_PREFIX}:{phone_name}:{device_id}.{SERVICE}"


def find_neons(
    wait_s: float | None = None, *, enough: Callable[[Sequence[FoundNeon]], bool] | None = None
) -> list[FoundNeon]:
    """Return the Neons that answer within ``wait_s`` (None: `SEARCH_S`), by name.

    Ends earlier once ``enough`` says so of those found.

    Raises DeviceUnavailableError where nothing can be asked.
    """
    try:
        found = asyncio.run(_search(SEARCH_S if wait_s is None else wait_s, enough))
    except OSError as error:
        raise DeviceUnavailableError(
            f"the network cannot be asked for a Neon ({error.strerror or type(error).__name__})",
            reason=DeviceUnavailableReason.NOT_FOUND,
            hint="Give the address that the app shows under Streaming.",
            code="GT-NO-NEON",
        ) from error
    return sorted(found, key=lambda neon: (neon.name, neon.host, neon.port))


async def _search(wait_s: float, enough: Callable[[Sequence[FoundNeon]], bool] | None) -> Sequence[FoundNeon]:
    zeroconf = import_zeroconf()
    names: asyncio.Queue[str] = asyncio.Queue()
    found: dict[str, FoundNeon] = {}

    def note(*, name: str, state_change: Any, **_: Any) -> None:
        if state_change is not zeroconf.ServiceStateChange.Removed and _phone_name(name) is not None:
            names.put_nowait(name)

    asking = zeroconf.asyncio.AsyncZeroconf(**({} if INTERFACES is None else {"interfaces": INTERFACES}))
    try:
        browser = zeroconf.asyncio.AsyncServiceBrowser(asking.zeroconf, SERVICE, handlers=[note])
        end = time.monotonic() + wait_s
        while not (enough is not None and enough([*found.values()])):
            try:
                name = await asyncio.wait_for(names.get(), end - time.monotonic())
            except TimeoutError:
                break
            place = zeroconf.asyncio.AsyncServiceInfo(SERVICE, name)
            if await place.async_request(asking.zeroconf, ANSWER_S * 1000):
                neon = _found(zeroconf, name, place)
                found |= {} if neon is None else {name: neon}
        await browser.async_cancel()
    finally:
        await asking.async_close()
    return [*found.values()]


def find_neon(name: str = "", *, wait_s: float | None = None) -> FoundNeon:
    """Return the Neon of that phone name; where it is empty, the only one that answers.

    Raises DeviceUnavailableError where none answers within ``wait_s`` (None: `SEARCH_S`), UsageError where several
    could be meant.
    """
    if name:
        found = find_neons(wait_s, enough=lambda some: any(neon.name == name for neon in some))
        chosen = [neon for neon in found if neon.name == name]
    else:
        chosen = found = find_neons(wait_s, enough=lambda some: len(some) > 1)
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        places = ", ".join(f"{neon.name!r} at {neon.address}" for neon in chosen)
        raise UsageError(
            f"several Neons could be meant: {places}",
            hint="Choose with find:NAME, or give the address.",
            code="GT-AMBIGUOUS-NEON",
        )
    wanted = f"no Neon named {name!r}" if name else "no Neon"
    others = f"; there are {', '.join(repr(neon.name) for neon in found)}" if found else ""
    raise DeviceUnavailableError(
        f"{wanted} answered within {SEARCH_S if wait_s is None else wait_s:g} s{others}",
        reason=DeviceUnavailableReason.NOT_FOUND,
        hint="Is the Companion app open, and is the phone in the same network? Many networks let no such questions "
        "through: then give the address that the app shows under Streaming.",
        code="GT-NO-NEON",
    )


def _found(zeroconf: Any, service: str, place: Any) -> FoundNeon | None:
    addresses = [*place.parsed_addresses(zeroconf.IPVersion.V4Only), *place.parsed_scoped_addresses()]
    name = _phone_name(service)
    if not addresses or not place.port or name is None:
        return None
    return FoundNeon(name=name, host=addresses[0], port=place.port)


def _phone_name(service: str) -> str | None:
    """Return a phone's name out of that of its service; None where that is something else, a printer perhaps."""
    first, _, rest = service.removesuffix(f".{SERVICE}").partition(":")
    return (rest.rpartition(":")[0] or rest) if first == _PREFIX and rest else None
