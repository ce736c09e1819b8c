"""The report: from a dataset and from a store, safe against what is in the data, legible in a real browser."""

from __future__ import annotations

import base64
import html
import json
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from curation.cli.report import report_command
from curation.export.schema import SHARD
from curation.report import DatasetSource, StoreSource, build_report, load_picture, load_scores, page
from gazecapture.console import run_command
from gazecapture.store import Store
from keyframes.errors import ExitCode, ExportError, ImageError, SchemaError, UsageError
from keyframes.plot import letter_colours
from keyframes.regions.schemes import load_scheme

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'=cmd|$"


@pytest.fixture
def store(curated: Store) -> Store:
    return curated


@pytest.fixture(scope="module")
def dataset(exported: Path) -> Path:
    return exported


@pytest.fixture(scope="module")
def from_dataset(dataset: Path) -> str:
    return build_report(DatasetSource(dataset))


def rows_of(dataset: Path) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((dataset / "readings").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def write_shard(folder: Path, rows: list[dict[str, Any]], name: str = "train-00000-of-00001.parquet") -> Path:
    (folder / "readings").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SHARD), folder / "readings" / name)
    return folder


class Tags(HTMLParser):
    """Collects which tags and attributes a page really has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def without_pictures(text: str) -> str:
    return re.sub(r"data:[a-z/+]+(;charset=utf-8)?;base64,[A-Za-z0-9+/=]+", "data:", text)


def plain(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_pictures(text))).split())


def test_it_shows_every_reading_with_its_pictures(from_dataset: str, dataset: Path) -> None:
    text = plain(from_dataset)
    for row in rows_of(dataset):
        # As a strip, in the gallery with its picture's text, in the table and above its section.
        assert from_dataset.count(f"<code>{row['reading_id']}</code>") == 4
    assert text.count("heart size is normal.") == 2
    for heading in (
        "Letters over time",
        "Key frames by sentence",
        "Quality",
        "Lost gaze",
        "Current image, PA",
    ):
        assert text.count(heading) >= 2, heading
    n_keyframes = sum(len(row["keyframes"]) for row in rows_of(dataset))
    assert from_dataset.count('<figure class="card">') == n_keyframes
    # In the gallery; scanpath, heat map, timeline and transitions of each reading; the key frames.
    assert from_dataset.count("<img ") == 2 * 5 + n_keyframes


def test_it_says_what_it_is(from_dataset: str) -> None:
    text = plain(from_dataset)
    assert "Research use only, not for diagnosis" in text
    assert "All of it is synthetic" in text


def test_it_needs_nothing_outside_itself(from_dataset: str) -> None:
    bare = without_pictures(from_dataset)
    assert "//" not in bare
    assert "<script" not in bare
    assert not re.search(r"\son\w+=|\sstyle=|javascript:|<link|<iframe|<object|<form|@import|url\(", bare)
    assert set(re.findall(r'\shref="([^"#]*)', bare)) == {"", "data:"}
    assert set(re.findall(r'\ssrc="([^"]*)"', bare)) == {"data:"}
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', bare)[0])
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_store_and_dataset_give_the_same_page(store: Store, from_dataset: str) -> None:
    from_store = build_report(StoreSource(store.root))
    assert "Made from the store" in from_store
    shown = re.compile(r"x \d+\S\d+, y \d+\S\d+ px|dwell \d+\.\d s|\d+\.\d\S\d+\.\d s")
    assert shown.findall(plain(from_store)) == shown.findall(plain(from_dataset))


def test_the_same_input_gives_the_same_page(dataset: Path, from_dataset: str) -> None:
    assert build_report(DatasetSource(dataset)) == from_dataset


def test_one_reading(dataset: Path) -> None:
    first, second = (row["reading_id"] for row in rows_of(dataset))
    text = build_report(DatasetSource(dataset), reading_id=second)
    assert second in text
    assert first not in text
    with pytest.raises(UsageError, match="no such reading"):
        build_report(DatasetSource(dataset), reading_id="0" * 16)


def test_many_readings_are_listed_but_not_all_shown(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_DETAILED", 1)
    text = build_report(DatasetSource(dataset))
    assert text.count('<section class="reading"') == 1
    listed = text.partition('<h2 id="readings">')[2].partition("</table>")[0]
    assert listed.count('<tr><th scope="row">') == 2
    assert "For one of the other 1" in plain(text)


def test_a_store_whose_stages_have_not_run(tmp_path: Path, readings: ModuleType) -> None:
    fresh = readings.fill_store(tmp_path / "store", 1)
    text = plain(build_report(StoreSource(fresh.root)))
    assert "No key frames were made." in text
    assert "Not measured yet." in text


def test_a_picture_that_is_absent_or_damaged_is_said(dataset: Path, tmp_path: Path) -> None:
    one, other = rows_of(dataset)
    one["images"][0]["bytes"] = b"\x89PNG\r\n\x1a\n damaged"
    for frame in one["keyframes"]:
        frame["picture"] = None
    other |= {"images": [], "image_info": [{**other["image_info"][0], "picture_width_px": None}]}
    text = build_report(DatasetSource(write_shard(tmp_path, [one, other])))
    assert text.count("The picture is not included.") == 2
    assert text.count('class="bare"') == len(one["keyframes"])


def test_text_of_the_data_is_only_text(dataset: Path, tmp_path: Path) -> None:
    def spoil(value: Any, name: str = "") -> Any:
        if isinstance(value, str) and name not in ("schema_version", "path", "kind", "status", "sentence_id"):
            return HOSTILE
        if isinstance(value, dict):
            return {key: spoil(inner, key) for key, inner in value.items()}
        return [spoil(inner, name) for inner in value] if isinstance(value, list) else value

    finding = {"finding_id": "f", "label": HOSTILE, "present": True, "image_index": 0, "source": HOSTILE,
               "sentence_ids": []}  # fmt: skip
    row = {**spoil(rows_of(dataset)[0]), "findings": [finding], "truth": [finding]}
    scores = tmp_path / "scores.json"
    scores.write_text(
        json.dumps({"title": HOSTILE, "rows": [{"name": HOSTILE, "value": HOSTILE, "unit": HOSTILE}]})
    )
    text = build_report(DatasetSource(write_shard(tmp_path, [row])), scores=load_scores(scores))
    parsed = Tags()
    parsed.feed(without_pictures(text))
    clean = Tags()
    clean.feed(without_pictures(build_report(DatasetSource(dataset))))
    assert parsed.tags <= clean.tags | {"caption"}
    assert parsed.attributes <= clean.attributes
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    assert text.count("<img ") == text.count('<img loading="lazy"')


def test_letters_of_every_scheme_have_the_colours_of_the_figures(dataset: Path, tmp_path: Path) -> None:
    row = rows_of(dataset)[0]
    visits = [{**row["trajectory"][0], "letter": letter} for letter in ("S", "G")]
    for name in ("mammo-v1", "a lab's own"):
        own = {**row, "region_scheme": name, "trajectory": visits}
        text = build_report(DatasetSource(write_shard(tmp_path, [own])))
        letters = load_scheme(name).letters if name == "mammo-v1" else (("G", ""), ("S", ""))
        for letter, colour in letter_colours([letter for letter, _ in letters]).items():
            (kind,) = set(re.findall(rf'<span class="letter ([^"]+)">{letter}</span>', text))
            assert f".{kind}{{background:{colour};" in text


def test_a_reading_of_nothing(tmp_path: Path) -> None:
    row = {"reading_id": "0123456789abcdef", "schema_version": "1.0"}
    text = plain(build_report(DatasetSource(write_shard(tmp_path, [row]))))
    assert "0123456789abcdef" in text
    assert "No key frames were made." in text


def test_no_reading_no_report(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="holds no reading") as caught:
        build_report(DatasetSource(write_shard(tmp_path, [])))
    assert caught.value.code == "GT-NOTHING-LEFT"


def test_shards_that_cannot_be_read(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(UsageError, match="holds no shards"):
        DatasetSource(tmp_path)
    newer = write_shard(tmp_path / "newer", [{"reading_id": "a", "schema_version": "2.0"}])
    with pytest.raises(SchemaError, match=r"shard format 2\.0"):
        build_report(DatasetSource(newer))
    foreign = tmp_path / "foreign" / "readings"
    foreign.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), foreign / "a.parquet")
    with pytest.raises(SchemaError, match="lacks column"):
        build_report(DatasetSource(foreign.parent))
    damaged = write_shard(tmp_path / "damaged", rows_of(dataset))
    shard = next((damaged / "readings").iterdir())
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ExportError, match="cannot be read"):
        build_report(DatasetSource(damaged))


def test_pictures_lose_their_metadata(tmp_path: Path) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "private note")
    Image.new("RGB", (3000, 1000), (200, 10, 10)).save(tmp_path / "viewer_main-window.png", pnginfo=notes)
    picture = load_picture(tmp_path / "viewer_main-window.png")
    assert (picture.width, picture.height) == (1600, 533)
    assert picture.caption == "viewer main window"
    assert b"private note" not in base64.b64decode(picture.uri.partition(",")[2])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "absent.png"):
        with pytest.raises(ImageError, match=name):
            load_picture(tmp_path / name)


@pytest.mark.parametrize("content", ["", "[1]", '{"rows": 3}', '{"rows": [3]}', "\x00"])
def test_scores_of_another_shape_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="holds no scores"):
        load_scores(path)
    with pytest.raises(UsageError, match="does not exist"):
        load_scores(tmp_path / "absent.json")


def test_scores_tolerate_what_they_do_not_know(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    rows = [
        {"name": "samples lost", "value": 0, "unit": "", "target": "0", "ok": True, "further": {"a": 1}},
        {"name": "F1", "value": 0.123456, "ok": False},
        {"name": "unknown", "value": float("nan"), "ok": None},
        {},
    ]
    path.write_text(json.dumps({"rows": rows, "further": 1}))
    table = load_scores(path)
    assert table.title == "Scores"
    assert [(row.value, row.ok) for row in table.rows] == [
        ("0", True), ("0.1235", False), ("\u2013", None), ("\u2013", None),
    ]  # fmt: skip


def run_report(*arguments: object) -> ExitCode:
    return run_command(report_command, [str(argument) for argument in arguments])


def test_the_command_writes_into_the_dataset(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (40, 30)).save(tmp_path / "shot.png")
    assert run_report("--dataset", dataset, "--picture", tmp_path / "shot.png", "--json") == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    written = Path(result["report"])
    assert written == dataset / "report.html"
    assert written.stat().st_size == result["bytes"]
    assert "<figcaption>shot</figcaption>" in written.read_text(encoding="utf-8")
    assert not list(dataset.glob(".*partial"))
    written.unlink()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ((), ExitCode.USAGE, "either --dataset or --store"),
        (("--dataset", "{0}/absent"), ExitCode.USAGE, "holds no shards"),
        (("--store", "{0}/absent"), ExitCode.USAGE, "is not a store"),
        (("--dataset", "{0}/empty"), ExitCode.NOTHING_LEFT, "holds no reading"),
        (("--dataset", "{0}/empty", "--picture", "{0}/absent.png"), ExitCode.INTERNAL, "does not exist"),
        (("--dataset", "{0}/empty", "--scores", "{0}/absent.json"), ExitCode.USAGE, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: tuple[str, ...], code: ExitCode, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "empty", [])
    assert run_report(*(a.format(tmp_path) for a in arguments)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert line in said.err
    assert said.err.count("\n") == 1


def test_an_unredacted_report_does_not_enter_a_dataset(
    store: Store, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_report("--store", store.root, "--out", dataset / "readings" / "r.html") == ExitCode.PRIVACY
    assert "not redacted" in capsys.readouterr().err
    assert not (dataset / "readings" / "r.html").exists()


def test_the_example_prints_the_key_frames_of_a_reading(store: Store) -> None:
    root = Path(__file__).resolve().parents[3]
    reading_id = store.reading_ids()[1]
    run = subprocess.run(
        [sys.executable, "examples/keyframes_of_one_reading.py", str(store.root), reading_id],
        capture_output=True, text=True, check=False, timeout=300, cwd=root,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert reading_id in run.stdout
    for sentence in store.load(reading_id).table("sentences").to_pylist():
        assert f"\n{sentence['text']}\n" in run.stdout
    assert "holistic" in run.stdout


def test_the_example_draws_a_curated_reading(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = Path(__file__).resolve().parents[3] / "examples" / "draw_one_reading.py"
    monkeypatch.setattr(sys, "argv", [example.name, str(store.root), str(tmp_path / "out")])
    runpy.run_path(str(example), run_name="__main__")
    made = {}
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as picture:
            made[path.stem] = picture.size
    assert made.keys() == {"scanpath", "heat-map", "key-frames", "letters", "transitions"}
    assert min(min(size) for size in made.values()) > 100
