"""The simulated phone tells its network where it is, by multicast DNS."""

from __future__ import annotations

import ipaddress
from typing import Any

from gazecapture.sources.neon_discovery import SERVICE, import_zeroconf

__all__ = ["Announcement"]


class Announcement:
    """What is told while it lasts; `end` takes it back."""

    def __init__(self) -> None:
        self._telling: Any = None
        self._what: Any = None

    async def begin(self, name: str, host: str, port: int) -> None:
        """Tell, on the network interface of ``host`` alone, which must be an address."""
        zeroconf = import_zeroconf()
        server = f"neon-{name.partition('.')[0].rpartition(':')[2]}.local."
        packed = [ipaddress.ip_address(host).packed]
        self._what = zeroconf.ServiceInfo(SERVICE, name, port, addresses=packed, server=server)
        self._telling = zeroconf.asyncio.AsyncZeroconf(interfaces=[host])
        await (await self._telling.async_register_service(self._what))

    async def end(self) -> None:
        """Take it back; does nothing where nothing was told."""
        telling, self._telling = self._telling, None
        if telling is not None:
            await (await telling.async_unregister_service(self._what))
            await telling.async_close()
