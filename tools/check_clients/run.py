"""Runs every client of another project against ours and prints a table: ``make check-clients``.

A client is NAME.py beside this file, with its requirements in NAME.txt; its environment is .clients/NAME. Clients that
share the project's own environment are tests (`OF_OURS`). A client that cannot be installed or imported has failed.

usage: run.py [NAME ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLIENTS = ROOT / ".clients"
PINNED_WHOLE = "# pinned whole\n"
"""First line of a NAME.txt that lists every package, down to the last dependency."""
OF_OURS = {
    "huggingface": ["tests/clients/test_huggingface.py"],
    "bids_and_croissant": ["tests/clients/test_science_views.py"],
    "neon_client": ["tests/clients/test_neon_client.py"],
    "lines_of_the_docs": ["tests/clients/test_docs_of_views.py"],
}
"""Clients that the tests use: what is given to pytest."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # threads of tiny models wait for one another longest
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
}
TIMEOUT_S = 900
"""Of one test: what they share is made in the first, which takes minutes beside other work."""
TAIL_LINES = 30
"""Of the log of a client that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one client fared."""

    name: str
    passed: bool
    seconds: float
    said: str
    """Last line of its output."""

    def line(self) -> str:
        """Return the row of the table."""
        return f"{'ok  ' if self.passed else 'FAIL'} | {self.name:<20} | {self.seconds:5.0f} s | {self.said}"


def main() -> int:
    """Return 1 where a client failed."""
    own = sorted(path.stem for path in HERE.glob("*.txt"))
    names = sys.argv[1:] or [*OF_OURS, *own]
    if unknown := set(names) - {*OF_OURS, *own}:
        sys.stderr.write(f"no client {', '.join(sorted(unknown))}; there are {', '.join([*OF_OURS, *own])}\n")
        return 2
    results = []
    for name in names:
        sys.stderr.write(f"{name} ...\n")
        results.append(_checked(name))
        sys.stderr.write(results[-1].line() + "\n")
    n_passed = sum(result.passed for result in results)
    lines = [*(result.line() for result in results), f"{n_passed} of {len(results)} clients are fine"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if n_passed == len(results) else 1


def _checked(name: str) -> Result:
    """Run one client, its output into .clients/NAME.log; on failure the end of it is shown."""
    CLIENTS.mkdir(exist_ok=True)
    path = CLIENTS / f"{name}.log"
    began = time.monotonic()
    with path.open("w", encoding="utf-8") as log:

        def run(command: list[str]) -> None:
            subprocess.run(
                command, check=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, stdout=log, stderr=log
            )

        try:
            if name in OF_OURS:
                options = ["-q", "-p", "no:cacheprovider", "--timeout", str(TIMEOUT_S)]
                run([sys.executable, "-m", "pytest", *options, *OF_OURS[name]])
            else:
                run([_environment(name, run), str(HERE / f"{name}.py"), sys.executable])
            failure = ""
        except (OSError, subprocess.CalledProcessError) as error:
            failure = str(error)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if failure:
        sys.stderr.write("\n".join([*lines[-TAIL_LINES:], f"{failure}; all of it: {path}\n"]))
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing said")
    return Result(name=name, passed=not failure, seconds=time.monotonic() - began, said=said)


def _environment(name: str, run: Callable[[list[str]], None]) -> str:
    """Return the interpreter of the client's environment, made anew where its requirements changed."""
    folder, wanted = CLIENTS / name, (HERE / f"{name}.txt").read_text(encoding="utf-8")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / ".requirements"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # Where every package is pinned nothing is resolved: pins of large clients contradict one another.
        whole = ["--no-deps"] if wanted.startswith(PINNED_WHOLE) else []
        run([*install, *whole, "--requirement", str(HERE / f"{name}.txt")])
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)


if __name__ == "__main__":
    sys.exit(main())
