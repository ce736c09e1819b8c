"""The films of a session that goes on, decoded and with their regions, while the operator watches. No Qt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.regions import PROVIDERS, regions_of_film
from gazecapture.session.schema import StudyImage
from gazecapture.viewer.render import Picture
from gazecapture.viewer.review.derived import film_of
from keyframes.errors import GazeToolError
from keyframes.regions.region_map import RegionMap

__all__ = ["SessionFilms"]

_LOGGER = logging.getLogger(__name__)


class SessionFilms:
    """Decodes what is on the screen, one study at a time, in a thread of its own; older studies are dropped."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self._wanted: tuple[StudyImage, ...] = ()
        self._news = threading.Condition()
        self._is_over = False
        self.pictures: dict[str, Picture] = {}
        """By SHA-256."""
        self.maps: dict[str, RegionMap] = {}
        """By SHA-256; a picture on which no region was found has none."""
        self._thread = threading.Thread(target=self._run, name="films", daemon=True)
        self._thread.start()

    def show(self, images: Iterable[StudyImage]) -> None:
        """Say which images are on the screen; returns at once."""
        wanted = tuple(images)
        with self._news:
            if wanted != self._wanted:
                self._wanted = wanted
                self._news.notify()

    def close(self) -> None:
        """End."""
        with self._news:
            self._is_over = True
            self._news.notify()
        self._thread.join()

    def _run(self) -> None:
        done: tuple[StudyImage, ...] = ()
        while True:
            with self._news:
                while not self._is_over and self._wanted == done:
                    self._news.wait()
                if self._is_over:
                    return
                done = self._wanted
            known = {image.sha256 for image in done}
            for kept in (self.pictures, self.maps):
                for sha256 in [*kept]:
                    if sha256 not in known:
                        kept.pop(sha256, None)
            for image in done:
                if image.sha256 not in self.pictures:
                    self._load(image)

    def _load(self, image: StudyImage) -> None:
        path = self._session / "images" / f"{image.sha256}{image.suffix}"
        try:
            radiograph = load_radiograph(path)
            self.pictures[image.sha256] = Picture(radiograph, image.image_index)
            found = regions_of_film(film_of(radiograph, sha256=image.sha256), PROVIDERS)
        except GazeToolError as error:
            _LOGGER.warning("a film cannot be shown to the operator: %s", error.message)
            return
        if found is not None:
            self.maps[image.sha256] = found
