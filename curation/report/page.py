"""The report: one HTML page that needs nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
from markupsafe import Markup

from curation.report.model import ReadingView, Summary
from curation.report.pictures import Picture
from curation.report.scores import ScoreTable
from curation.report.sources import ReportSource
from curation.report.view import summary_of, view_of
from gazecapture import __version__
from keyframes.errors import ExportError, UsageError
from keyframes.plot import letter_colours
from keyframes.plot.style import INK

__all__ = ["MAX_DETAILED", "build_report"]

MAX_DETAILED = 40
"""Readings shown in full; each is about 0.7 MB of page. Of further ones the page has the table row alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A row of the table, and the anchor of its section where it has one."""

    summary: Summary
    anchor: str


def build_report(
    source: ReportSource,
    *,
    pictures: Sequence[Picture] = (),
    scores: ScoreTable | None = None,
    reading_id: str | None = None,
) -> str:
    """Return the report as HTML: no script, no outside address, pictures within, a content security policy.

    source     : `DatasetSource` or `StoreSource`.
    pictures   : further pictures, such as screenshots of the viewer (`pictures.load_picture`).
    scores     : figures that another program worked out (`scores.load_scores`).
    reading_id : only this reading.

    All text of the data is escaped. The same input gives the same page. Raises UsageError where there is no such
    reading, ExportError (code GT-NOTHING-LEFT) where there is none at all, and what the source raises.
    """
    summaries = sorted((summary_of(row) for row in source.summaries()), key=lambda s: s.sort_key)
    if not summaries:
        raise ExportError(
            f"the {source.kind} holds no reading", hint="Curate some first.", code="GT-NOTHING-LEFT"
        )
    if reading_id is not None:
        summaries = [s for s in summaries if s.reading_id == reading_id]
        if not summaries:
            raise UsageError(
                f"the {source.kind} has no such reading", record=reading_id, code="GT-NO-READING"
            )
    detailed = [s.reading_id for s in summaries[:MAX_DETAILED]]
    views = {row["reading_id"]: view_of(row) for row in source.rows(detailed)}
    anchors = {shown: f"reading-{place}" for place, shown in enumerate(detailed, start=1)}
    return _render(
        kind=source.kind,
        entries=[_Entry(summary=s, anchor=anchors.get(s.reading_id, "")) for s in summaries],
        views=[(anchors[shown], views[shown]) for shown in detailed],
        n_left_out=len(summaries) - len(detailed),
        pictures=pictures,
        scores=scores,
    )


def _render(
    *,
    kind: str,
    entries: Sequence[_Entry],
    views: Sequence[tuple[str, ReadingView]],
    n_left_out: int,
    pictures: Sequence[Picture],
    scores: ScoreTable | None,
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("curation.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    letters = dict.fromkeys(letter for _, view in views for letter, _ in view.letter_names)
    letters |= dict.fromkeys(letter for entry in entries for letter in entry.summary.letters)
    colours = letter_colours(tuple(letters))
    style = _style(colours)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    n_synthetic = sum(entry.summary.synthetic for entry in entries)
    return environment.get_template("report.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own packaged file, no data in it
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        version=__version__,
        kind=kind,
        entries=entries,
        views=views,
        n_left_out=n_left_out,
        n_synthetic=n_synthetic,
        pictures=pictures,
        scores=scores,
        chips={letter: f"letter-{place}" for place, letter in enumerate(colours)},
    )


def _style(colours: Mapping[str, str]) -> str:
    """Return the page's style sheet, the letters' colours being those of the figures.

    A letter's class is its place: the name of a lab's own letter may be no class name.
    """
    own = resources.files("curation.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    chips = "".join(
        f".letter-{place}{{background:{colour};color:{_ink_on(colour)}}}"
        for place, colour in enumerate(colours.values())
    )
    return f"{own}{chips}\n"


def _ink_on(colour: str) -> str:
    """Return white or the page's dark ink, whichever stands out more (contrast ratio of WCAG 2.2)."""
    ground = _luminance(colour)
    over_ink = (ground + 0.05) / (_luminance(INK) + 0.05)
    return INK if over_ink > 1.05 / (ground + 0.05) else "#FFFFFF"


def _luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2) of a colour as #rrggbb."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
