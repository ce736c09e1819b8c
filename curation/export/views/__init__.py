"""The views, one file each; `curation.view_settings` has their options under the same names."""

from __future__ import annotations

from typing import Any

from curation.export.views.authors import AuthorsView
from curation.export.views.bids import BidsView
from curation.export.views.gazesearch import GazesearchView
from curation.export.views.huggingface import HuggingfaceView
from curation.export.views.llamafactory import LlamafactoryView
from curation.export.views.protocol import View, ViewResult
from curation.export.views.pymovements import PymovementsView
from curation.export.views.reflacx import ReflacxView
from curation.export.views.swift import SwiftView
from curation.export.views.trl import TrlView

__all__ = ["VIEWS", "View", "ViewResult", "view_named"]

VIEWS: tuple[View[Any], ...] = (
    AuthorsView(),
    BidsView(),
    GazesearchView(),
    HuggingfaceView(),
    LlamafactoryView(),
    PymovementsView(),
    ReflacxView(),
    SwiftView(),
    TrlView(),
)


def view_named(name: str) -> View[Any]:
    """Return a view by its name. Raises KeyError where there is none."""
    return {view.name: view for view in VIEWS}[name]
