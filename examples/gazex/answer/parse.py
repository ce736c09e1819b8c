"""Answers as values, read leniently; whatever could not be read is told, never dropped in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass

from examples.gazex.tasks.example import Box

__all__ = [
    "ParsedBoxes",
    "ParsedOrder",
    "ParsedSteps",
    "Step",
    "parse_boxes",
    "parse_inspection",
    "parse_order",
]

_BOX = re.compile(r"<\|box_start\|>(.*?)(<\|box_end\|>|(?=<\|box_start\|>)|$)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_STEP = re.compile(r"\s*;?\s*([A-F])\s+([a-z][a-z ]*?)\s*(<\|box_start\|>.*?<\|box_end\|>)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBoxes:
    """Boxes in shares of the picture's sides, corners in order, and what was wrong."""

    boxes: tuple[Box, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedOrder:
    """Numbers as they came; None where they are no order of 1 to n."""

    order: tuple[int, ...] | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a predicted inspection."""

    letter: str
    region: str
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSteps:
    """Steps in order, and what was wrong."""

    steps: tuple[Step, ...]
    problems: tuple[str, ...]


def parse_boxes(text: str) -> ParsedBoxes:
    """Return every box of an answer.

    >>> parse_boxes("<|box_start|>(300,400),(100,200)<|box_end|>").boxes[0].x0
    0.1
    """
    boxes, problems = [], []
    for found in _BOX.finditer(text):
        numbers = [float(n) / 1000 for n in _NUMBER.findall(found.group(1))]
        if not found.group(2):
            problems.append("a box is not closed")
        if len(numbers) not in (4, 6):
            problems.append(f"a box has {len(numbers)} numbers")
            continue
        if any(not 0 <= n <= 1 for n in numbers):
            problems.append("a box reaches beyond the picture")
            numbers = [min(1.0, max(0.0, n)) for n in numbers]
        x, y = sorted(numbers[0:4:2]), sorted(numbers[1:4:2])
        if [x[0], y[0]] != numbers[:2]:
            problems.append("a box's corners are exchanged")
        point = (numbers[4], numbers[5]) if len(numbers) == 6 else None
        boxes.append(Box(x0=x[0], y0=y[0], x1=x[1], y1=y[1], point=point))
    if not boxes and not problems:
        problems.append("no box")
    return ParsedBoxes(boxes=tuple(boxes), problems=tuple(problems))


def parse_order(text: str, n: int) -> ParsedOrder:
    """Return the places of n frames, 1 to n; what the frames show, before a colon, is left out.

    >>> parse_order("2, 1 3", 3).order, parse_order("1B4 2A1: 2, 1", 2).order
    ((2, 1, 3), (2, 1))
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", text.rpartition(":")[2]))
    if sorted(numbers) == list(range(1, n + 1)):
        return ParsedOrder(order=numbers, problems=())
    return ParsedOrder(order=None, problems=(f"{len(numbers)} numbers are no order of {n}",))


def parse_inspection(text: str) -> ParsedSteps:
    """Return the steps of an inspection; a part that is no step is counted."""
    steps, problems, done = [], [], 0
    for found in _STEP.finditer(text):
        if text[done : found.start()].strip(" ;"):
            problems.append("a part is no step")
        boxes = parse_boxes(found.group(3))
        problems += boxes.problems
        steps += [Step(letter=found.group(1), region=found.group(2), box=box) for box in boxes.boxes[:1]]
        done = found.end()
    if text[done:].strip(" ;"):
        problems.append("a part is no step")
    return ParsedSteps(steps=tuple(steps), problems=tuple(problems))
