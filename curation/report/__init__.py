"""The report on a dataset or a store: one self-contained HTML page."""

from curation.report.page import MAX_DETAILED, build_report
from curation.report.pictures import Picture, load_picture
from curation.report.scores import ScoreTable, load_scores
from curation.report.sources import DatasetSource, ReportSource, StoreSource

__all__ = [
    "MAX_DETAILED",
    "DatasetSource",
    "Picture",
    "ReportSource",
    "ScoreTable",
    "StoreSource",
    "build_report",
    "load_picture",
    "load_scores",
]
