"""All else that goes in beside films, with a marker in each text: worklist, session, profile, settings, tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.views import VIEWS
from gazecapture.session.decisions import append_decision
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    MARKS,
    TRACKER_MARKS,
    VALIDATION_JOURNAL,
    WORDS_JOURNAL,
    read_session_info,
    read_stream_info,
    write_session_info,
    write_stream_info,
)
from keyframes.reading import Tracker
from tests.canary_films import Canaries

__all__ = ["plant_in_session", "plant_in_tables", "write_own_profile", "write_settings", "write_worklist"]

WORD_NS = 250_000_000


def write_worklist(folder: Path, films: Mapping[str, Path], canary: Canaries) -> None:
    lesion = {
        "finding_id": canary["truth id"], "label": canary["truth label"], "present": True, "image_index": 0,
        "box": [40.0, 60.0, 90.0, 120.0], "source": canary["truth source"],
    }  # fmt: skip
    (folder / "truth.json").write_text(json.dumps([lesion]))
    with (folder / "worklist.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["study_id", "current", "indication", "arm", "truth", "view", "referrer"])
        for number, path in enumerate(films.values()):
            table.writerow([
                f"{canary['study id']}{number}", path.relative_to(folder), f"Cough. Known to {canary['indication']}.",
                canary["study arm"], "truth.json", canary["view column"],
                canary["worklist column of no name"],
            ])  # fmt: skip


def plant_in_session(session: Path, canary: Canaries) -> None:
    """Fill what senders, the window and the reader give as text."""
    info = read_session_info(session)
    studies = tuple(
        replace(
            study,
            images=tuple(
                replace(
                    image,
                    view_position=canary["view position"],
                    source_patient_id=canary["patient id, session"],
                )
                for image in study.images
            ),
        )
        for study in info.studies
    )
    write_session_info(
        session,
        replace(
            info, session_id=canary["session id"], tool_version=canary["recording version"], studies=studies
        ),
    )
    for record in sorted((session / "streams").glob("*/stream.json")):
        stream = read_stream_info(record.parent)
        xml = (
            f"<hostname>{canary['host name']}</hostname><serial>{canary['tracker serial']}</serial>"
            f"<desc><x-subject><by>{canary['unknown stream metadata']}</by></x-subject></desc>"
        )
        tracker = Tracker(
            name=canary["tracker name"], manufacturer=canary["tracker maker"], model=canary["tracker model"],
            nominal_rate_hz=stream.tracker.nominal_rate_hz,
        )  # fmt: skip
        write_stream_info(
            record.parent,
            replace(
                stream, name=canary["stream name"], source_id=canary["source id"], xml=xml, tracker=tracker
            ),
        )
    display = read_journal(session / "display").table.to_pylist()
    opened = [row for row in display if row["event"] == "on"]
    with JournalWriter(session / "display", DISPLAY_JOURNAL) as journal:
        journal.append_rows([
            {
                **row, "event": "change", "t_ns": row["t_ns"] + 1_000_000, "preset_id": canary["preset"],
                "panels": [{"name": canary["panel"], "rect": [0.0, 0.0, 9.0, 9.0]}],
            }
            for row in opened
        ])  # fmt: skip
    with JournalWriter(session / "annotations", ANNOTATIONS) as journal:
        journal.append_rows([
            {
                "t_ns": row["t_ns"] + 2_000_000_000, "reading_number": row["reading_number"], "action": "put",
                "finding_id": canary["finding id"], "label": f"Nodule {canary['finding label']}", "image_index": 0,
                "shape": canary["finding shape"], "box": [40.0, 60.0, 90.0, 120.0],
            }
            for row in opened
        ])  # fmt: skip
    said = [
        "heart",
        canary["dictated"],
        canary["patient name"].lower() + ",",
        "Marie",
        "long",
        "14:32",
        "8675309421",
    ]
    with JournalWriter(session / "words", WORDS_JOURNAL) as journal:
        journal.append_rows([
            {
                "t_start_ns": row["t_ns"] + (place + 4) * WORD_NS, "t_end_ns": row["t_ns"] + (place + 5) * WORD_NS,
                "word": word, "confidence": 1.0, "source": canary["word source"],
            }
            for row in opened
            for place, word in enumerate([*said, "."])
        ])  # fmt: skip
    with JournalWriter(session / "marks", MARKS) as journal:
        journal.append_rows(
            [{"t_ns": 1, "stream_id": "x", "kind": "gap", "detail": canary["recorder's mark"]}]
        )
    with JournalWriter(session / "tracker_marks", TRACKER_MARKS) as journal:
        mark = {"t_ns": 1, "reading_number": 1, "event": "on", "mark": 7, "sent": False}
        journal.append_rows([{**mark, "detail": canary["mark for the tracker"]}])
    with JournalWriter(session / "validation", VALIDATION_JOURNAL) as journal:
        said_of_it = {"validation_id": canary["validation id"], "detail": canary["reason to go on"]}
        journal.append_rows([{"t_ns": 1, "event": "override", "trigger": "red", **said_of_it}])
    append_decision(
        session / "decisions.jsonl", kind="verdict", target="1", value="accept",
        reviewer=canary["session's reviewer"], reason=canary["session's reason"],
    )  # fmt: skip
    (session / "status.json").write_text(json.dumps({"note": canary["recorder's status"]}))
    for name in ("transcripts", "audio", "video"):
        (session / name).mkdir(exist_ok=True)
        (session / name / f"{canary[f'name in {name}']}.txt").write_text(canary[f"file in {name}"])
    (session / f"{canary['unknown file name']}.txt").write_text(canary["file of no known kind"])


def write_own_profile(session: Path, canary: Canaries) -> None:
    """Put a profile into the session that fits no stream, with a marker in each of its texts and in a comment."""
    packaged = (files("gazecapture.profiles") / "eyelink.toml").read_text(encoding="utf-8")
    (session / "profiles").mkdir()
    (session / "profiles" / "own.toml").write_text(
        f"# {canary['comment in a profile']}\n" + packaged, encoding="utf-8"
    )


def plant_in_tables(store: Path, canary: Canaries) -> None:
    """Give every table of every reading a column of no known name."""
    for path in sorted(store.glob("*/*.parquet")):
        table = pq.read_table(path)
        place = f"extra column of {path.stem}"
        text = pa.array([canary[place]] * table.num_rows, pa.string())
        pq.write_table(table.append_column(f"{canary['name of an extra column'].lower()}", text), path)


def write_settings(folder: Path, canary: Canaries) -> Path:
    """Write settings that name files of this computer, and a scheme with names of its own."""
    folder.mkdir()
    words = folder / f"{canary['word list name']}.txt"
    words.write_text("zweigstelle\n")
    packaged = (files("keyframes.regions") / "scheme_files" / "gazex-v1.toml").read_text(encoding="utf-8")
    scheme = folder / f"{canary['scheme file name']}.toml"
    scheme.write_text(
        packaged.replace('name = "gazex-v1"', f'name = "{canary["scheme name"].lower()}"'), encoding="utf-8"
    )
    annotations = folder / "boxes.json"
    annotations.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    settings = folder / "gazecurate.toml"
    settings.write_text(
        f"[privacy]\ngaze_tier = 'raw'\nword_lists = ['{words}']\n[views]\nnames = {[view.name for view in VIEWS]}\n"
        f"[regions]\nscheme = '{scheme}'\n"
        f"[[regions.annotations]]\nformat = 'coco'\npath = '{annotations}'\n"
        f"names = {{ {canary['region of a source']} = '{canary['region name']}' }}\n"
    )
    return settings
