"""Evidence: its format, its page in a real browser, and films asked by a small trained model."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydantic import ValidationError

from examples.gazex.cli import main
from examples.gazex.data.encode import ExampleDataset
from examples.gazex.data.prepare import load_split
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.faithfulness import Masking, faithfulness_scores
from examples.gazex.evidence.model import NOTICE, Evidence, json_schema
from examples.gazex.evidence.page import page
from examples.gazex.infer.films import open_film
from examples.gazex.infer.study import LETTER_OF_LABEL, sentences_of
from examples.gazex.model.ready import load_trained
from examples.gazex.tasks.names import LABELS
from examples.gazex.train.loop import train
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from tests.chromium import chromium_page
from tests.unit.gazex.evidence_cases import evidence, faithful, film, finding
from tests.unit.gazex.test_training import tiny

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def bare(text: str) -> str:
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "data:", text)


def test_the_schema_beside_the_code_is_that_of_the_code() -> None:
    written = json.loads((ROOT / "examples/gazex/evidence/schema.json").read_text(encoding="utf-8"))
    assert written == json_schema()
    jsonschema.Draft202012Validator.check_schema(written)


def test_a_validator_of_others_takes_evidence_and_nothing_else() -> None:
    check = jsonschema.Draft202012Validator(json_schema())
    content = json.loads(evidence().model_dump_json())
    check.validate(content)
    for path, wrong in (
        (("schema_version",), "2.0"),
        (("notice",), "observed"),
        (("trajectory", "kind"), "observed"),
        (("findings", 0, "probability"), 1.2),
        (("findings", 0, "region", "box_share"), [0.1, 0.2, 0.3]),
        (("report", "sentences", 0, "more"), 1),
    ):
        spoilt = json.loads(json.dumps(content))
        place = spoilt
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong
        with pytest.raises(jsonschema.ValidationError):
            check.validate(spoilt)
        with pytest.raises(ValidationError):
            Evidence.model_validate(spoilt)


def test_the_page_needs_nothing_outside_itself_and_says_what_it_is() -> None:
    text = page(evidence(), film())
    assert text == page(evidence(), film())
    assert text.count(NOTICE) == 3  # above, below, in the data
    assert "predicted, not observed" in text
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]+)"', text)[0])
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not re.search(r"\son\w+=|\sstyle=|javascript:|<link|<iframe|<object|<form|@import", bare(text))
    outside = bare(text).replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "//" not in re.sub(r"^\s*//.*$", "", outside, flags=re.MULTILINE)


def test_text_of_a_model_is_only_text() -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)

    def tags(content: Evidence) -> list[str]:
        parsed = Tags()
        parsed.feed(bare(page(content, film())))
        return parsed.tags

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoil(inner, key) for inner in value]
        free = (
            "text",
            "question",
            "answer",
            "what",
            "part",
            "region_name",
            "label",
            "name",
            "fill_in_words",
            "family",
        )
        return HOSTILE if key in free else value

    spoilt = Evidence.model_validate(spoil(json.loads(evidence().model_dump_json())))
    assert tags(spoilt) == tags(evidence())


def test_parts_that_a_model_was_not_taught_are_said_to_be_missing() -> None:
    nothing = evidence(report=None, trajectory=None, findings=(), answers=(), problems=())
    text = bare(page(nothing, film()))
    for said in (
        "not taught to write reports",
        "not taught how readers inspect",
        "not taught to say whether",
        "all 9 answers were well formed",
    ):
        assert said in text
    jsonschema.validate(json.loads(nothing.model_dump_json()), json_schema())


@pytest.mark.parametrize(
    ("masked", "controls", "said"),
    [
        (0.12, (0.9, 0.88), "Rests on its box."),
        (0.12, (0.9, 0.1), "Not clearly on its box."),
        # Of a model that is sure of everything: the furthest fall, and none that is worth a word.
        (
            0.92,
            (0.93, 0.929),
            "Does not rest on its box.</strong> Painted over, the probability hardly falls",
        ),
        (0.95, (0.93, 0.8), "Does not rest on its box.</strong> Painted over, the probability does not fall"),
        (0.12, (), "No comparison."),
    ],
)
def test_a_finding_rests_on_its_box_where_much_falls_with_it_alone(
    masked: float, controls: tuple[float, ...], said: str
) -> None:
    alone = [finding("Consolidation", "B", 0.93, faithful(masked, controls))]
    shown = page(evidence(findings=alone), film())
    told = ("Rests on its box.", "Not clearly on its box.", "Does not rest on its box.", "No comparison.")
    assert said in shown
    assert sum(text in shown for text in told) == 1


def test_sentences_findings_and_steps_light_up_by_pointer_and_keyboard(tmp_path: Path) -> None:
    written = tmp_path / "evidence.html"
    written.write_text(page(evidence(), film()), encoding="utf-8")
    boxes = "[...document.querySelectorAll('#overlay .box')].map(e => e.getAttribute('class')).join('|')"
    said = "document.getElementById('lit').textContent"
    pressed = (
        "[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.dataset.target || e.id).join()"
    )
    with chromium_page(written, tmp_path / "profile", width=1300, height=900) as shown:
        assert shown.evaluate(boxes) == ""
        shown.point_at("[data-target=sentence-2]")
        assert shown.evaluate(boxes) == "box role-clue dash|box role-clue dash|box role-observation"
        assert "2 clues dashed" in shown.evaluate(said)
        places = (
            "['x', 'y', 'width', 'height'].map(a => +document.querySelector('#overlay .box.role-observation')"
        )
        assert shown.evaluate(places + ".getAttribute(a))") == pytest.approx(
            [176, 200, 96, 120]
        )  # of 320 x 400 px
        shown.point_at("h1")
        assert shown.evaluate(boxes) == ""
        shown.click("[data-target=finding-0]")
        shown.point_at("h1")
        assert shown.evaluate(pressed) == "finding-0"
        assert shown.evaluate(boxes).count("role-control") == 8
        assert "probability 0.93" in shown.evaluate(said)
        shown.point_at("[data-target=sentence-3]")
        assert "no place given" in shown.evaluate(said)
        shown.point_at("h1")
        for number in (1, 2, 3):
            shown.press("ArrowRight")
            assert shown.evaluate(pressed) == f"step-{number}"
        assert shown.evaluate(boxes) == "box letter-B"
        assert "Predicted step 3 of 7: B, left lower lung zone" in shown.evaluate(said)
        shown.press("ArrowLeft")
        assert shown.evaluate("document.getElementById('progress').textContent") == "Step 2 of 7"
        shown.press("Escape")
        assert shown.evaluate(boxes) == shown.evaluate(pressed) == ""
        # By keyboard alone: from the film's buttons on to the first sentence.
        shown.evaluate("document.getElementById('next').focus()")
        shown.press("Tab")
        assert shown.evaluate("document.activeElement.dataset.target") == "sentence-1"
        assert shown.evaluate(boxes) == "box role-observation"
        shown.press("Enter")
        assert shown.evaluate(pressed) == "sentence-1"
        shown.click("#play")
        assert shown.evaluate(pressed) == "play,step-1"
        # Play goes on by itself.
        reached = "document.querySelector('[data-target=step-2][aria-pressed=true]')"
        shown.evaluate(
            f"new Promise(done => {{ const look = () => {reached} ? done(1) : setTimeout(look, 50); look(); }})"
        )
        shown.click("#play")
        assert shown.evaluate("document.getElementById('play').getAttribute('aria-pressed')") == "false"
        unnamed = (
            "[...document.querySelectorAll('button,img,[role=img]')]"
            ".filter(e => !(e.textContent.trim() || e.alt || e.getAttribute('aria-label'))).length"
        )
        assert shown.evaluate(unnamed) == 0
        assert shown.complaints == []


def test_a_narrow_screen_hides_nothing_under_the_film(tmp_path: Path) -> None:
    written = tmp_path / "evidence.html"
    written.write_text(page(evidence(), film()), encoding="utf-8")
    with chromium_page(written, tmp_path / "profile", width=390, height=844) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        shown.click("[data-target=finding-0]")
        pressed = "document.querySelector('[data-target][aria-pressed=true]').dataset.target"
        assert shown.evaluate(pressed) == "finding-0"
        assert shown.complaints == []


def test_every_label_has_a_letter() -> None:
    assert set(LETTER_OF_LABEL) == set(LABELS) - {"No Finding"}
    assert sentences_of("A 2.5 cm nodule. No effusion!\n\nStable") == [
        "A 2.5 cm nodule.",
        "No effusion!",
        "Stable",
    ]


def test_films_are_seen_as_the_shards_show_them(tmp_path: Path) -> None:
    path = write_dicom(
        make_phantom(3, size_px=(256, 320)), tmp_path / "film.dcm", patient_id="SYN1", study_uid_seed=1
    )
    dataset = pydicom.dcmread(path)
    changes: list[dict[str, Any]] = [
        {},
        {"PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": None},
        {"VOILUTFunction": "SIGMOID"},
        {"VOILUTFunction": "LINEAR_EXACT"},
        {"RescaleSlope": 2, "RescaleIntercept": -7},
    ]
    for change in changes:
        changed = dataset.copy()
        for name, value in change.items():
            setattr(changed, name, value)
        changed.save_as(path)
        ours = np.asarray(open_film(path).picture, int)
        theirs = np.asarray(load_radiograph(path).grey8(), int)
        assert abs(ours - theirs).max() <= 1, change
    deep = np.arange(600, 600 + 64 * 64, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    grey = np.asarray(open_film(tmp_path / "deep.png").picture)
    assert (grey.min(), grey.max()) == (0, 255)
    Image.new("RGB", (3000, 1500), (9, 9, 9)).save(tmp_path / "large.jpg")
    large = open_film(tmp_path / "large.jpg")
    assert (large.picture.size, large.width_px, large.height_px) == ((1024, 512), 3000, 1500)
    path.write_bytes(path.read_bytes()[:2000])
    (tmp_path / "text.png").write_text("nothing")
    for broken in (path, tmp_path / "text.png", tmp_path / "absent.png"):
        with pytest.raises(TrainerError, match=r"GX-IMAGE"):
            open_film(broken)


@pytest.fixture(scope="module")
def model(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that was taught everything that `infer` asks, though not for long."""
    asked = ("presence", "grounding", "report_from_image", "boxes_from_sentence", "inspection", "vqa")
    weights = {"presence": 3.0} | dict.fromkeys(asked[1:], 0.5)
    config = tiny(
        tasks={"weights": weights},
        train={"steps": 24, "batch_size": 8, "learning_rate": 3e-3, "save_every": 24, "log_every": 24},
    )
    return train([dataset], tmp_path_factory.mktemp("infer") / "run", config, quiet=True).model


def test_a_model_asked_about_films_writes_evidence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/film.png", "b/film.png"):
        (tmp_path / name).parent.mkdir()
    film().save(tmp_path / "a/film.png")
    film().transpose(Image.Transpose.ROTATE_180).save(tmp_path / "b/film.png")
    command = ["infer", *(str(tmp_path / n) for n in ("a/film.png", "b/film.png")), "--model", str(model), "--quiet",
               "--question", "is the heart enlarged", "--controls", "2",
               "--max-tokens", "24", "--json", "--out"]  # fmt: skip
    assert main([*command, str(tmp_path / "out")]) == 0
    said = json.loads(capsys.readouterr().out)["studies"]
    assert [Path(s["folder"]).name for s in said] == ["a-film", "b-film"]
    for study in said:
        content = json.loads((Path(study["folder"]) / "evidence.json").read_text(encoding="utf-8"))
        jsonschema.validate(content, json_schema())
        found = Evidence.model_validate(content)
        # Only what its training asked: of other labels it knows nothing.
        assert {f.label for f in found.findings} == {"Cardiomegaly", "Pleural Effusion", "Pneumothorax"}
        assert [a.question for a in found.answers] == ["is the heart enlarged"]
        assert study["n_problems"] == len(found.problems)
        present = [f for f in found.findings if f.present]
        assert "Cardiomegaly" in {f.label for f in present}  # every reading of its training said so
        for one in present:
            assert one.region is not None  # under the grammar no box is malformed
            assert one.faithfulness is not None
            assert one.faithfulness.probability == pytest.approx(one.probability, abs=1e-5)
            assert one.faithfulness.probability_other_patient is not None
            assert len(one.faithfulness.controls) <= 2
        assert not any(p.part.startswith("finding") for p in found.problems)
        # Whatever was cut off or could not be read is told, with the answer itself.
        text = html.unescape(bare((Path(study["folder"]) / "evidence.html").read_text(encoding="utf-8")))
        for problem in found.problems:
            assert problem.what in text
            assert problem.answer in text
        assert found.report is not None
        assert " ".join(found.report.text.split()) == " ".join(s.text for s in found.report.sentences)
        told = {problem.part for problem in found.problems}
        for sentence in found.report.sentences:
            assert sentence.regions or f"sentence {sentence.number}" in told


def test_what_cannot_be_asked_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film().save(tmp_path / "film.png")
    for more, code in (
        (["--label", "Gout"], "GX-LABEL"),
        (["--controls", "0"], "GX-USAGE"),
        (["--model", str(tmp_path)], "GX-MODEL"),
    ):
        command = ["infer", str(tmp_path / "film.png"), "--out", str(tmp_path / "out"), "--model", str(model)]
        assert main([*command, *more]) == 1
        assert code in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_split_s_findings_are_masked_for_the_table_of_an_evaluation(dataset: Path, model: Path) -> None:
    ready, config, _ = load_trained(model)
    split = load_split([dataset], "train", config)
    data = ExampleDataset(split.examples, split.paths, ready.processor, config.data)
    patients = {e.reading_id: f"patient of {e.reading_id}" for e in split.examples}
    found = faithfulness_scores(
        ready, data, range(len(data)), patients, masking=Masking(n_controls=2), limit=4
    )
    assert {
        "faithfulness: fall, cited box masked",
        "faithfulness: flips, cited box masked",
        "faithfulness: still yes without picture",
        "faithfulness: still yes on another patient's picture",
    } <= set(found)
    for name, estimate in found.items():
        assert -1 <= estimate.value <= 1
        assert 1 <= estimate.n_groups <= 3
        assert estimate.n <= 4
        assert "fall" in name or estimate.value >= 0
    only = [k for k, e in enumerate(split.examples) if e.task == "presence"]
    assert faithfulness_scores(ready, data, only, patients) == {}
