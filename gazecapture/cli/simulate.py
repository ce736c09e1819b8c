"""`gazecapture simulate`: a reader that does not exist, live over LSL or offline as finished sessions."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gazecapture.console import FiniteRange, echo_result, progress_bar
from keyframes.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gazecapture.simulation.style import ReaderKind

__all__ = ["simulate_command"]


@click.command("simulate")
@click.option("--rate-hz", default=500.0, show_default=True, help="Samples per second, 30 to 2000.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same reader (and same phantoms).")
@click.option("--serve", is_flag=True, help="Wait for one viewer on loopback and read for it.")
@click.option(
    "--studies", type=str, help="With --serve: folder of worklist.csv. With --offline: how many phantoms."
)
@click.option("--truth", type=click.Path(path_type=Path), help="With --serve: folder for the truth.")
@click.option("--offline", is_flag=True, help="Write finished sessions, faster than real time.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="With --offline: folder for studies and sessions."
)
@click.option(
    "--readers", type=click.IntRange(min=1), help="With --offline: how many readers read every study."
)
@click.option("--size", metavar="WxH", help="With --offline: size of the phantoms, px.")
@click.option(
    "--ambiguous",
    type=FiniteRange(0.0, 1.0),
    default=0.0,
    help="With --offline: share of studies with two findings of which only gaze tells the one that is meant.",
)
@click.option(
    "--reads", type=click.IntRange(min=1), help="With --offline: readers of each study.  [default: all]"
)
@click.option(
    "--seconds", type=FiniteRange(5.0, 600.0), help="With --offline: length of a reading.  [default: 25]"
)
@click.option(
    "--without-lesions", is_flag=True, help="With --offline: the same phantoms without their lesions."
)
@click.option(
    "--style",
    type=click.Choice(["finding_driven", "free", "systematic"]),
    help="With --offline: how all readers go about it.  [default: in turn]",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 1024),
    help="With --offline: processes; the same bytes by any number.  [default: one per processor, as far as it pays]",
)
@click.option("--json", "as_json", is_flag=True, help="With --offline: print the counts as JSON.")
def simulate_command(
    rate_hz: float,
    seed: int,
    serve: bool,
    studies: str | None,
    truth: Path | None,
    offline: bool,
    out: Path | None,
    readers: int | None,
    size: str | None,
    ambiguous: float,
    without_lesions: bool,
    reads: int | None,
    seconds: float | None,
    style: ReaderKind | None,
    jobs: int | None,
    as_json: bool,
) -> ExitCode:
    """Simulate a reader. All that it makes is synthetic and says so.

    By itself it opens two LSL outlets, gaze and words, and reads imagined radiographs until Ctrl-C. With --offline it
    writes N phantom studies and one finished session per reader.
    """
    from gazecapture.simulation.feed import check_rate  # with numpy, which the help does not need

    check_rate(rate_hz)
    if seed < 0:
        raise UsageError(f"--seed is {seed}, it counts from 0")
    if offline:
        if serve or truth is not None:
            raise UsageError("--offline goes with neither --serve nor --truth")
        if out is None or studies is None or readers is None:
            raise UsageError("--offline needs --out, --studies and --readers")
        count = _count(studies)
        return _offline(
            out,
            count,
            readers,
            seed,
            rate_hz,
            _size(size),
            ambiguous,
            without_lesions,
            reads,
            seconds,
            style,
            jobs,
            as_json,
        )
    others = (
        out, readers, size, ambiguous or None, without_lesions or None, reads, seconds, style, jobs,
        as_json or None,
    )  # fmt: skip
    if any(value is not None for value in others):
        raise UsageError(
            "--out, --readers, --size, --ambiguous, --without-lesions, --reads, --seconds, --style, -j and --json go "
            "with --offline"
        )
    if serve or studies is not None or truth is not None:
        if studies is None or truth is None or not serve:
            raise UsageError("a reader for a viewer needs --serve, --studies and --truth")
        return _serve(Path(studies), truth, seed, rate_hz)
    return _alone(seed, rate_hz)


def _alone(seed: int, rate_hz: float) -> ExitCode:
    from gazecapture.simulation.feed import GazeFeed
    from gazecapture.simulation.oculomotor import TrackerModel
    from gazecapture.simulation.outlets import Outlets
    from gazecapture.simulation.performer import VIRTUAL_DISPLAY, EndlessReader, Performer

    outlets = Outlets(rate_hz=rate_hz, display=VIRTUAL_DISPLAY)
    feed = GazeFeed(rate_hz=rate_hz, display=VIRTUAL_DISPLAY, reader_seed=seed, model=TrackerModel())
    performer = Performer(feed, outlets)
    start_s = outlets.now_s()
    feed.start(start_s)
    EndlessReader(performer, seed=seed).start(start_s)
    click.echo(f"a simulated reader is on the network at {rate_hz:g} Hz; Ctrl-C ends it", err=True)
    try:
        while True:
            time.sleep(performer.tick(outlets.now_s()))
    except KeyboardInterrupt:
        click.echo(f"sent {feed.n_given} gaze samples and {performer.n_words} words", err=True)
        return ExitCode.OK


def _serve(studies: Path, truth: Path, seed: int, rate_hz: float) -> ExitCode:
    from gazecapture.files import make_private_folder
    from gazecapture.simulation.content import load_contents
    from gazecapture.simulation.driver import DriverServer
    from gazecapture.simulation.oculomotor import TrackerModel
    from gazecapture.simulation.style import ReaderStyle
    from gazecapture.simulation.truth import TruthWriter, truth_head
    from gazecapture.worklist import load_worklist

    listed = load_worklist(studies / "worklist.csv")
    make_private_folder(truth)
    if any(truth.iterdir()):
        raise UsageError(
            f"{truth} is not empty",
            hint="Give a new or empty folder to --truth.",
            path=truth,
            code="GT-FOREIGN-FOLDER",
        )
    style, model = ReaderStyle.from_seed(seed), TrackerModel()
    server = DriverServer(
        rate_hz=rate_hz,
        style=style,
        contents=load_contents(studies / "ground_truth", [study.study_id for study in listed]),
        truth=TruthWriter(folder=truth, head=truth_head(style, rate_hz=rate_hz, model=model), model=model),
        model=model,
    )
    click.echo(json.dumps({"port": server.port, "gaze_source_id": server.gaze_source_id}))
    counts = server.serve()
    click.echo(
        f"sent {counts.n_gaze_sent} gaze samples and {counts.n_words_sent} words in {counts.n_readings} readings",
        err=True,
    )
    return ExitCode.OK


def _offline(
    out: Path,
    n_studies: int,
    n_readers: int,
    seed: int,
    rate_hz: float,
    size: tuple[int, int] | None,
    ambiguous: float,
    without_lesions: bool,
    reads: int | None,
    seconds: float | None,
    style: ReaderKind | None,
    jobs: int | None,
    as_json: bool,
) -> ExitCode:
    from gazecapture.simulation.batch import default_batch_jobs, simulate_batch
    from gazecapture.simulation.plan import DEFAULT_DURATION_S

    with progress_bar() as bar:
        task = bar.add_task("simulating", total=n_studies + n_readers)
        result = simulate_batch(
            out,
            n_studies=n_studies,
            n_readers=n_readers,
            seed=seed,
            rate_hz=rate_hz,
            size_px=size,
            ambiguous_share=ambiguous,
            with_lesions=not without_lesions,
            reads=reads,
            duration_s=DEFAULT_DURATION_S if seconds is None else seconds,
            kind=style,
            jobs=jobs or default_batch_jobs(n_studies),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    document = {
        "sessions": [
            {
                "session": str(s.session), "truth": str(s.truth), "n_readings": s.n_readings, "n_gaze": s.n_gaze,
                "n_words": s.n_words,
            }
            for s in result
        ]
    }  # fmt: skip
    n_gaze = sum(s.n_gaze for s in result)
    n_readings = sum(s.n_readings for s in result)
    text = f"{len(result)} sessions, {n_readings} readings of {n_studies} studies, {n_gaze:,} samples in "
    text += str(out / "sessions")
    echo_result(document, as_json=as_json, text=text)
    return ExitCode.OK


def _count(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text) is None or int(text) < 1:
        raise UsageError(f"--studies is {text!r}, with --offline it is how many studies to make")
    return int(text)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if found is None:
        raise UsageError(f"--size is {text!r}, expected WIDTHxHEIGHT in px, such as 2048x2500")
    return int(found[1]), int(found[2])
