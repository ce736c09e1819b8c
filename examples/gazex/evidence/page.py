"""``evidence.html``: one study's evidence as a page that needs nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import resources

import jinja2
from markupsafe import Markup
from PIL import Image

from examples.gazex.evidence.model import Evidence, Finding, Region

__all__ = ["page"]

LETTERS = {
    "A": "airways",
    "B": "breathing",
    "C": "circulation",
    "D": "diaphragm",
    "E": "external",
    "F": "foreign material",
}
LEAST_FALL = 0.05
"""Of a probability: a finding whose box is painted over for less does not rest on it, whatever other boxes do. Of a
model that is sure of everything all boxes make it fall by thousandths, and one of them always by the most."""
PLOT_PX, PLOT_MARGIN_PX = 260, 8
"""Width of a finding's dot plot, and what stays free at its ends for marks at 0 and 1."""


def page(evidence: Evidence, picture: Image.Image) -> str:
    """Return the page: all text escaped, picture, style and script within, a policy that forbids anything else.

    The same evidence and picture give the same page.
    """
    style, script = _packaged("evidence.css"), _packaged("evidence.js")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("examples.gazex.evidence", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"two": _two, "at": _at, "place": _place}
    return environment.get_template("evidence.html.j2").render(
        e=evidence,
        present=[(n, f) for n, f in enumerate(evidence.findings) if f.present],
        absent=[(n, f) for n, f in enumerate(evidence.findings) if not f.present],
        beaten=_n_controls_as_strong,
        least_fall=LEAST_FALL,
        letters=LETTERS,
        picture=f"data:image/png;base64,{base64.b64encode(_png(picture)).decode()}",
        # In a script element only "<" could end it.
        data=Markup(evidence.model_dump_json().replace("<", "\\u003c")),  # noqa: S704
        style=Markup(style),  # noqa: S704 - our own packaged file, no data in it
        script=Markup(script),  # noqa: S704 - likewise
        policy=(
            f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
        plot=(PLOT_PX, PLOT_MARGIN_PX),
    )


def _n_controls_as_strong(finding: Finding) -> int:
    """Return how many controls make the probability fall at least as far as the cited box does."""
    found = finding.faithfulness
    return 0 if found is None else sum(c.probability <= found.cited.probability for c in found.controls)


def _two(value: float, signed: bool = False) -> str:
    """Return a number with two decimals and a true minus sign; ``signed``: with a plus too."""
    rounded = round(value, 2) + 0.0  # no minus zero
    sign = "\u2212" if rounded < 0 else "+" if signed and rounded > 0 else ""
    return f"{sign}{abs(rounded):.2f}"


def _at(value: float) -> str:
    """Return where a probability stands in a plot, px."""
    return f"{PLOT_MARGIN_PX + value * (PLOT_PX - 2 * PLOT_MARGIN_PX):.1f}"


def _place(region: Region) -> str:
    """Return where a box is, in percent of the picture."""
    x0, y0, x1, y1 = (round(100 * side) for side in region.box_share)
    return f"x {x0}\u2013{x1} %, y {y0}\u2013{y1} %"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("L").save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _packaged(name: str) -> str:
    return (
        resources.files("examples.gazex.evidence").joinpath(f"templates/{name}").read_text(encoding="utf-8")
    )
