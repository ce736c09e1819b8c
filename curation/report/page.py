"""The report: one HTML page that needs nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
from markupsafe import Markup

from curation.report.cohort import Cohort, cohort_of, limits_of
from curation.report.downloads import Download, NumberTable
from curation.report.gathered import gathered
from curation.report.hints import DASH, number
from curation.report.model import ReadingView, Summary
from curation.report.pictures import Picture
from curation.report.reading_tables import reading_tables
from curation.report.scores import ScoreTable
from curation.report.sources import ReportSource, Row
from curation.report.view import letters_of, summary_of, view_of
from gazecapture import __version__
from keyframes.errors import ExportError, UsageError
from keyframes.plot import letter_colours
from keyframes.plot.style import INK

__all__ = ["MAX_DETAILED", "build_report"]

_MEASURES = {
    "attention": "Attention, cosine of dwell maps",
    "letters": "Order of letters, string edit",
    "regions": "Order of regions, string edit",
}
"""Measure of agreement -> how the page names it."""

MAX_DETAILED = 40
"""Readings shown in full; each is about 0.7 MB of page. Of further ones the page has the table row alone."""
MAX_LISTED = 500
"""Rows of the table of all readings; the file to download has every one."""


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
    per_reader: bool = False,
) -> str:
    """Return the report as HTML: no script, no outside address, pictures within, a content security policy.

    source     : `DatasetSource` or `StoreSource`.
    pictures   : further pictures, such as screenshots of the viewer (`pictures.load_picture`).
    scores     : figures that another program worked out (`scores.load_scores`).
    reading_id : only this reading, without what is said of all together.
    per_reader : with figures per reader, under codes drawn anew for every page.

    Nothing else tells who read what: readings stand in the order of their ids. All text of the data is escaped. The
    same input gives the same page, but for those codes. Raises UsageError where there is no such reading, PrivacyError
    (GT-FEW-READERS) for figures per reader of fewer than five, ExportError (code GT-NOTHING-LEFT) where there is no
    reading at all, and what the source raises.
    """
    summaries, readings = [], []
    for row in source.summaries():
        if reading_id is None or row["reading_id"] == reading_id:
            summaries.append(summary_of(row))
            readings.append(gathered(row))
    if not summaries and reading_id is None:
        raise ExportError(
            f"the {source.kind} holds no reading", hint="Curate some first.", code="GT-NOTHING-LEFT"
        )
    if not summaries:
        raise UsageError(f"the {source.kind} has no such reading", record=reading_id, code="GT-NO-READING")
    summaries.sort(key=lambda summary: summary.reading_id)
    readings.sort(key=lambda reading: reading.reading_id)
    detailed = [s.reading_id for s in summaries[:MAX_DETAILED]]
    names: dict[str, str] = {}
    views: dict[str, ReadingView] = {}
    numbers: dict[str, Row] = {}
    for row in source.rows(detailed):
        views[row["reading_id"]] = view_of(row)
        numbers[row["reading_id"]] = _without_pictures(row)
        names |= letters_of(row)
    cohort = None
    if reading_id is None:
        cohort = cohort_of(
            readings,
            letters=names,
            limits=limits_of(source.gates()),
            funnel=source.funnel(),
            n_by_split=Counter(summary.split for summary in summaries),
            max_strips=MAX_DETAILED,
            per_reader=per_reader,
        )
    elif per_reader:
        raise UsageError("--per-reader is for all readings, not for one")
    anchors = {shown: f"reading-{place}" for place, shown in enumerate(detailed, start=1)}
    tables = [
        _table_of(summaries),
        *(() if cohort is None else cohort.tables),
        *reading_tables([numbers[shown] for shown in detailed]),
    ]
    return _render(
        kind=source.kind,
        cohort=cohort,
        entries=[_Entry(summary=s, anchor=anchors.get(s.reading_id, "")) for s in summaries],
        views=[(anchors[shown], views[shown]) for shown in detailed],
        pictures=pictures,
        scores=scores,
        letter_names=names,
        downloads=[Download.json_of(tables), *map(Download.csv_of, tables)],
    )


def _without_pictures(row: Row) -> Row:
    frames = [{**frame, "picture": None} for frame in row["keyframes"] or ()]
    return {**row, "images": [], "keyframes": frames}


def _table_of(summaries: Sequence[Summary]) -> NumberTable:
    """Return the table of all readings with its numbers as they are."""
    return NumberTable.of(
        "readings",
        "every reading",
        (
            {
                "reading_id": s.reading_id, "split": s.split, "synthetic": s.synthetic, "duration_s": s.duration_s,
                "rate_hz": s.rate_hz, "loss_share": s.loss_share, "n_fixations": s.n_fixations,
                "n_sentences": s.n_sentences, "n_keyframes": s.n_keyframes, "letters": " ".join(s.letters),
                "n_issues": s.n_issues, "worst_issue": s.severity,
            }
            for s in summaries
        ),
    )  # fmt: skip


def _render(
    *,
    kind: str,
    cohort: Cohort | None,
    entries: Sequence[_Entry],
    views: Sequence[tuple[str, ReadingView]],
    pictures: Sequence[Picture],
    scores: ScoreTable | None,
    letter_names: Mapping[str, str],
    downloads: Sequence[Download],
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("curation.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent, "number": number, "coordinate": lambda value: f"{value:.3f}".rstrip("0").rstrip("."),
    }  # fmt: skip
    letters = dict.fromkeys(letter_names)
    letters |= dict.fromkeys(letter for entry in entries for letter in entry.summary.letters)
    colours = letter_colours(tuple(letters))
    style = _style(colours)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(
        "report.html.j2"
    ).render(
        style=Markup(style),  # noqa: S704 - our own packaged file, no data in it
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        version=__version__,
        kind=kind,
        cohort=cohort,
        measures=_MEASURES,
        entries=entries,
        listed=entries[:MAX_LISTED],
        views=views,
        n_synthetic=sum(entry.summary.synthetic for entry in entries),
        pictures=pictures,
        scores=scores,
        downloads=downloads,
        files={download.file: download for download in downloads},
        shown_above=_beside_charts(cohort),
        anchors={view.reading_id: anchor for anchor, view in views},
        chips={letter: f"letter-{place}" for place, letter in enumerate(colours)},
    )


def _beside_charts(cohort: Cohort | None) -> set[str]:
    """Return the files whose link stands beside what they are the numbers of, so that the page holds them once."""
    names = ["readings", *(() if cohort is None else (table.name for table in cohort.tables))]
    return {f"{name}.csv" for name in names}


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %" if math.isfinite(share) else DASH


def _style(colours: Mapping[str, str]) -> str:
    """Return the page's style sheet, the letters' colours being those of the figures.

    A letter's class is its place: the name of a lab's own letter may be no class name.
    """
    own = resources.files("curation.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    chips = "".join(
        f".letter-{place}{{background:{colour};color:{_ink_on(colour)};fill:{colour}}}"
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
