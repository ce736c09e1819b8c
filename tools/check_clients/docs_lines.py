"""The lines of the documentation that open a view, run in the client that they are written for."""

import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("views.md", "science-views.md")


def run_lines(view: str, dataset: Path, **known: Any) -> dict[str, Any]:
    """Run the first Python under the view's heading where ``DATASET`` is the dataset; return what it defined."""
    for page in PAGES:
        text = (DOCS / page).read_text(encoding="utf-8")
        if found := re.search(rf"^### {view}\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE):
            break
    else:
        raise SystemExit(f"no page has a heading {view}")
    if dataset.name != "DATASET":
        raise SystemExit("the dataset's folder must have the name that the lines use")
    here = Path.cwd()
    os.chdir(dataset.parent)
    try:
        exec(compile(found[1], f"docs of {view}", "exec"), known)  # noqa: S102  the lines are the project's own
    finally:
        os.chdir(here)
    return known
