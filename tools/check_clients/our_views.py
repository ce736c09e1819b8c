"""Views of a small generated dataset, written by the project's own interpreter for a client to open."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def our_views() -> Iterator[tuple[Path, Path]]:
    """Give the folder of all views, and one for scratch; the first argument is the project's interpreter."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        command = [sys.argv[1], "-m", "tools.check_clients.make_views", str(folder / "DATASET")]
        subprocess.run(command, check=True)
        yield folder / "DATASET" / "views", folder
