"""What every test gets: a Lab Streaming Layer that sees this worker alone, no display, no network."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Before anything imports pylsl or Qt: both read their surroundings once, on import.
_lsl_folder = Path(tempfile.mkdtemp(prefix="lsl-test-"))
atexit.register(shutil.rmtree, _lsl_folder, ignore_errors=True)
_lsl_config = _lsl_folder / "lsl_api.cfg"
_lsl_config.write_text(
    "[ports]\nIPv6 = disable\n"
    "[multicast]\nResolveScope = machine\nAddressesOverride = {127.0.0.1}\nListenAddress = 127.0.0.1\n"
    "[lab]\nKnownPeers = {127.0.0.1}\n"
    f"SessionID = test-{uuid.uuid4().hex}\n"
    "[log]\nlevel = -2\n"
)
os.environ["LSLAPICFG"] = str(_lsl_config)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared data folder beside the checkout; a test that needs it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return SHARED
