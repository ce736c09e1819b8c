"""Runs every client of another project in a virtual environment of its own: ``make check-clients``.

A client is NAME.py beside this file, with its requirements in NAME.txt; its environment is .clients/NAME. A client that
cannot be installed or imported counts as failed.

usage: run.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PINNED_WHOLE = "# pinned whole\n"
"""First line of a NAME.txt that lists every package, down to the last dependency."""


def main() -> int:
    """Return 1 where a client failed."""
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.txt"))
    failed = [name for name in names if not _check(name)]
    sys.stdout.write(f"{len(names) - len(failed)} of {len(names)} clients are fine\n")
    return 1 if failed else 0


def _check(name: str) -> bool:
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    try:
        python = _environment(name)
        subprocess.run([python, str(HERE / f"{name}.py"), sys.executable], check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stdout.write(f"FAIL  {name}: {error}\n")
        return False
    return True


def _environment(name: str) -> str:
    """Return the interpreter of the client's environment, made anew where its requirements changed."""
    folder, wanted = ROOT / ".clients" / name, (HERE / f"{name}.txt").read_text(encoding="utf-8")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / ".requirements"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # Where every package is pinned nothing is resolved: pins of large clients contradict one another.
        whole = ["--no-deps"] if wanted.startswith(PINNED_WHOLE) else []
        subprocess.run([*install, *whole, "--requirement", str(HERE / f"{name}.txt")], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)


if __name__ == "__main__":
    sys.exit(main())
