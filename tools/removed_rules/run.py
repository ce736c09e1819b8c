"""Take each rule of a table out of the code once, and check that the tests that hold it fail without it.

    python tools/removed_rules/run.py [TABLE.toml] [--only WORD ...] [--out RESULTS.jsonl]

Works on a copy of the repository. Exits with 1 where a rule went and its tests still passed. A table has, of each rule:
what it says, its file, the text that makes it (once in that file), what stands there without it, and its tests.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("privacy.toml")
COPIED = ("keyframes", "gazecapture", "curation", "examples", "tests", "tools", "docs", "pyproject.toml")
LIBRARIES = (
    "h5py",
    "hypothesis",
    "matplotlib.pyplot",
    "numba",
    "pyarrow.parquet",
    "pydantic",
    "pydicom",
    "scipy.ndimage",
)
"""What takes most of the time of a short test to load."""
OPTIONS = (
    "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly",
    "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
)  # fmt: skip
"""Of pytest; plugins that a library has loaded already need no rewriting."""
FAILED, NO_RESULT = 1, 99
"""Exit code of pytest where a test failed, and ours where it could not run."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule and how it goes."""

    rule: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]
    """Of pytest: ``FILE::NAME``; a name without brackets has all of its cases."""


def read_rules(table: Path = TABLE) -> tuple[Rule, ...]:
    """Return the rules of a table, in its order."""
    content = tomllib.loads(table.read_text(encoding="utf-8"))["rule"]
    return tuple(Rule(**{**entry, "tests": tuple(entry["tests"])}) for entry in content)


def as_markdown(rules: tuple[Rule, ...]) -> str:
    """Return the table of rule and test as the documents show it; paths are below ``tests/``."""
    lines = ["| rule | held by |", "|---|---|"]
    for rule in rules:
        tests = ", ".join(f"`{test.removeprefix('tests/').replace('::', ' :: ')}`" for test in rule.tests)
        lines.append(f"| {rule.rule} | {tests} |")
    return "\n".join(lines) + "\n"


def removed(rules: tuple[Rule, ...], copy: Path) -> Iterator[dict[str, object]]:
    """Run each rule's tests without it, in a process of its own that has the libraries loaded; give what came of it."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for rule in rules:
        path = copy / rule.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace(rule.text, rule.without), encoding="utf-8")
        told = copy.parent / "told"
        began = time.monotonic()
        try:
            if not (pid := os.fork()):
                _run_tests(rule.tests, copy, told)
            _, status = os.waitpid(pid, 0)
        finally:
            path.write_text(whole, encoding="utf-8")
        code = os.waitstatus_to_exitcode(status)
        last = told.read_text(encoding="utf-8", errors="replace")[-300:]
        yield {
            "rule": rule.rule,
            "held": code == FAILED,
            "code": code,
            "took_s": time.monotonic() - began,
            "last": last,
        }


def _run_tests(tests: tuple[str, ...], copy: Path, told: Path) -> NoReturn:
    code = NO_RESULT
    try:
        with told.open("w") as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        os.chdir(copy)
        os.environ["PYTHONPATH"] = sys.path[0] = str(copy)
        sys.dont_write_bytecode = True
        code = int(pytest.main([*OPTIONS, *tests]))
        sys.stdout.flush()
    except BaseException:  # whatever it is, this process ends here
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def main() -> int:
    """Remove rules and tell; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", nargs="?", type=Path, default=TABLE)
    parser.add_argument("--only", nargs="*", default=[], help="rules with one of these words")
    parser.add_argument(
        "--out", type=Path, help="a line of JSON for each rule is appended here; what is there is done"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for the documents and end")
    options = parser.parse_args()
    done: set[str] = set()
    if options.out is not None and options.out.is_file():
        done = {json.loads(line)["rule"] for line in options.out.read_text().splitlines()}
    rules = tuple(
        rule
        for rule in read_rules(options.table)
        if rule.rule not in done and (not options.only or any(word in rule.rule for word in options.only))
    )
    if options.markdown:
        print(as_markdown(rules), end="")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.mkdir()
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        unheld = []
        for result in removed(rules, copy):
            print(f"{'held' if result['held'] else 'NOT HELD'}: {result['rule']}", flush=True)
            if options.out is not None:
                with options.out.open("a") as told:
                    told.write(json.dumps(result) + "\n")
            if not result["held"]:
                unheld.append(result)
        print(f"{len(rules) - len(unheld)} of {len(rules)} rules are held by their tests")
    return 1 if unheld else 0


if __name__ == "__main__":
    sys.exit(main())
