"""``infer``: films in; per study a folder with evidence.json and evidence.html."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from examples.gazex.answer.generate import MAX_TOKENS
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.faithfulness import Masking
from examples.gazex.evidence.model import Evidence
from examples.gazex.evidence.page import page
from examples.gazex.infer.films import Film, open_film
from examples.gazex.infer.study import LETTER_OF_LABEL, Reader
from examples.gazex.model.ready import load_trained
from examples.gazex.tasks.names import LABELS

__all__ = ["Written", "infer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The evidence of one study and where it lies."""

    folder: Path
    evidence: Evidence


def infer(
    images: Sequence[Path],
    trained: Path,
    out: Path,
    *,
    questions: Sequence[str] = (),
    labels: Sequence[str] = (),
    masking: Masking | None = None,
    max_tokens: int = MAX_TOKENS,
    say: Callable[[str], None] = lambda _: None,
) -> list[Written]:
    """Ask a model about films, each a study of its own; write OUT/NAME/evidence.json and .html.

    labels : asked for as findings; without, all that the model was taught (all of CheXpert's where it doesn't say).
    max_tokens : of each answer; one that is cut off is a problem.
    say    : is told how far it is.

    Films are all read before anything is asked. Another patient's picture is the next study's. Raises TrainerError:
    GX-IMAGE, GX-PYDICOM, GX-MODEL, GX-LABEL.
    """
    films = _named_apart(images)
    ready, config, about = load_trained(trained)
    if torch.cuda.is_available():
        ready.model.to("cuda")
    known = [label for label in LABELS if label in LETTER_OF_LABEL]
    if unknown := [label for label in labels if label not in known]:
        raise TrainerError(
            f"there is no finding {unknown[0]!r}", code="GX-LABEL", hint=f"Known: {', '.join(known)}."
        )
    taught = [label for label in about.get("labels") or known if label in known]
    reader = Reader(
        ready=ready,
        config=config,
        about=about,
        questions=tuple(questions),
        labels=tuple(labels) or tuple(taught),
        masking=masking or Masking(),
        max_tokens=max_tokens,
    )
    written = []
    for place, (name, film) in enumerate(films):
        say(f"study {place + 1} of {len(films)}: {name}")
        others = [other for _, other in films[place + 1 :] + films[:place] if other.sha256 != film.sha256]
        evidence = reader.read(film, others[0] if others else None)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "evidence.json", evidence.model_dump_json(indent=1) + "\n")
        _write(folder / "evidence.html", page(evidence, film.picture))
        written.append(Written(folder=folder, evidence=evidence))
    return written


def _named_apart(images: Sequence[Path]) -> list[tuple[str, Film]]:
    """Return films with names of their own; where files are called alike their folders' names come before."""
    stems = [path.stem for path in images]
    named: dict[str, Film] = {}
    for path in images:
        first = path.stem if stems.count(path.stem) == 1 else f"{path.resolve().parent.name}-{path.stem}"
        name, number = first, 1
        while name in named:
            number += 1
            name = f"{first}-{number}"
        named[name] = replace(open_film(path), name=name)
    return list(named.items())


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
