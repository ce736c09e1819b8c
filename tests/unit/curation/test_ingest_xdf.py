"""A session to XDF and back, LabRecorder's files, and files that are cut."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyxdf

from curation.ingest.protocol import Ingested
from curation.ingest.xdf import XdfIngester
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import SessionInfo, read_session_info, read_stream_info, write_stream_info
from gazecapture.session.to_readings import to_readings
from gazecapture.session.xdf_export import export_xdf, without_identifiers
from gazecapture.session.xdf_file import XdfWriter, element, walk_xdf
from keyframes.errors import SchemaError
from tests.conftest import SmallDataset
from tests.lsl_senders import SENDERS, Sender

KEY = b"k" * 32


@pytest.fixture(scope="module")
def session(small_dataset: SmallDataset) -> Path:
    return small_dataset.studies.parent / "sessions" / "R01"


@pytest.fixture(scope="module")
def exported(session: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("xdf") / "s.xdf"
    export_xdf(session, target)
    return target


def ingested(path: Path) -> list[Ingested]:
    return list(XdfIngester().readings(path, key=KEY))


def test_a_session_comes_back_as_it_was(session: Path, exported: Path) -> None:
    before = [item.reading for item in to_readings(session, key=KEY)]
    after = [item.reading for item in ingested(exported)]
    assert len(before) == len(after) > 0
    for ours, theirs in zip(before, after, strict=True):
        assert ours is not None
        assert theirs is not None
        assert theirs.meta.reading_id == ours.meta.reading_id
        assert (theirs.meta.source_format, theirs.meta.access_tier) == ("xdf", "local-only")
        assert theirs.meta.duration_ns == ours.meta.duration_ns
        for name in ("display", "words", "findings"):
            assert theirs.table(name).to_pylist() == ours.table(name).to_pylist(), name
        pictures = [reading.table("images").drop_columns("sha256").to_pylist() for reading in (ours, theirs)]
        assert pictures[0] == pictures[1]
        for column in ("t_ns", "x_screen_px", "x_image_px", "left_pupil"):
            np.testing.assert_array_equal(
                theirs.table("gaze")[column].to_numpy(), ours.table("gaze")[column].to_numpy()
            )


def test_pyxdf_reads_every_stream_with_its_times_and_no_identifier(session: Path, exported: Path) -> None:
    streams, _ = pyxdf.load_xdf(str(exported))
    by_name = {stream["info"]["name"][0]: stream for stream in streams}
    assert {"gazecapture words", "gazecapture display", "gazecapture marks"} <= by_name.keys()
    (gaze,) = [s for s in streams if s["info"]["type"][0] == "Gaze"]
    folders = [path.parent for path in (session / "streams").glob("*/stream.json")]
    (folder,) = [folder for folder in folders if read_stream_info(folder).role == "gaze"]
    table = read_journal(folder).table
    assert gaze["time_series"].shape[0] == table.num_rows
    content = exported.read_bytes()
    studies = read_session_info(session).studies
    images = [image for study in studies for image in study.images]
    assert images
    for known in {
        *(study.study_id for study in studies),
        *(i.sha256 for i in images),
        *(i.source_study_uid for i in images),
        *(i.source_patient_id for i in images),
    } - {""}:
        assert known.encode() not in content


def test_the_names_and_addresses_of_computers_stay_behind(session: Path, tmp_path: Path) -> None:
    shutil.copytree(session, tmp_path / "s")
    folder = next(path.parent for path in (tmp_path / "s" / "streams").glob("*/stream.json"))
    info = read_stream_info(folder)
    hosts = "<hostname>DR-MILLER-PC</hostname><v4address>192.0.2.77</v4address>"
    xml = f"<info><name>{info.name}</name><type>{info.kind}</type>{hosts}<desc/></info>"
    write_stream_info(folder, replace(info, xml=xml))
    export_xdf(tmp_path / "s", tmp_path / "s.xdf")
    content = (tmp_path / "s.xdf").read_bytes()
    assert info.name.encode() in content
    assert b"MILLER" not in content
    assert b"192.0.2" not in content


def test_an_export_keeps_studies_and_patients_together_and_no_two_exports_share_an_id(session: Path) -> None:
    """Two readings of the same pictures, one of another study of that patient."""
    info = read_session_info(session)
    film = replace(
        info.studies[0].images[0], sha256="a" * 64, source_patient_id="P7", source_study_uid="1.2.3"
    )
    later = replace(film, sha256="b" * 64, source_study_uid="1.2.4")
    nameless = replace(film, sha256="c" * 64, source_patient_id="", source_study_uid="")
    studies = tuple(
        replace(info.studies[0], reading_number=number, study_id=f"case {number}", images=(image,))
        for number, image in enumerate((film, film, later, nameless), start=1)
    )
    info = replace(info, studies=studies)
    first, second = without_identifiers(info), without_identifiers(info)
    one, again, other, bare = (study.images[0] for study in first.studies)
    assert one == again
    assert one.source_patient_id == other.source_patient_id != ""
    assert len({one.source_study_uid, other.source_study_uid, ""}) == 3
    assert len({one.sha256, other.sha256, bare.sha256}) == 3
    assert (bare.source_patient_id, bare.source_study_uid) == ("", "")

    def ids(shared: SessionInfo) -> set[str]:
        images = [study.images[0] for study in shared.studies]
        return {x for i in images for x in (i.sha256, i.source_patient_id, i.source_study_uid)} - {""}

    assert not ids(first) & ids(second)
    assert not ids(first) & ids(info)
    assert {study.study_id for study in first.studies} == {"1", "2", "3", "4"}


def gaze_file(path: Path, *, markers: bool = False, rate_hz: str = "100") -> np.ndarray:
    """As LabRecorder writes it: 8 s of gaze with an outage of 2 s, on a clock 3 s behind."""
    t_s = np.arange(600) / 100.0
    t_s[300:] += 2.0
    channels = "".join(
        f"<channel><label>{kind}</label><type>{kind}</type><eye>both</eye><unit>pixels</unit></channel>"
        for kind in ("ScreenX", "ScreenY")
    )
    header = (
        '<?xml version="1.0"?><info><name>eyes</name><type>Gaze</type><channel_count>2</channel_count>'
        f"<nominal_srate>{rate_hz}</nominal_srate><channel_format>float32</channel_format>"
        f"<desc><channels>{channels}</channels></desc></info>"
    )
    with path.open("wb") as file:
        writer = XdfWriter(file)
        writer.header(1, header)
        if markers:
            writer.header(
                2,
                '<?xml version="1.0"?><info><name>m</name><type>Markers</type><channel_count>1</channel_count>'
                "<nominal_srate>0</nominal_srate><channel_format>string</channel_format></info>",
            )
            texts = [["image_on 1"], ["image_off"], ["image_on 2"], ["image_off"]]
            writer.texts(2, [4.0, 5.0, 9.0, 10.5], texts)
        for start in range(0, 600, 50):
            part = slice(start, start + 50)
            writer.clock_offset(1, float(t_s[start]), 3.0)
            writer.numbers(1, t_s[part], [np.arange(1.0, 601)[part], np.arange(1.0, 601)[part]], "float32")
    return t_s


def test_a_foreign_file_is_one_reading_and_its_gap_stays(tmp_path: Path) -> None:
    t_s = gaze_file(tmp_path / "a.xdf")
    (item,) = ingested(tmp_path / "a.xdf")
    assert item.reading is not None
    assert (item.reading.meta.time_origin, item.reading.meta.source_format) == ("recording_start", "xdf")
    gaze = item.reading.table("gaze")
    np.testing.assert_allclose(gaze["t_ns"].to_numpy() / 1e9, t_s, atol=1e-6)
    assert gaze["x_screen_px"].to_numpy().tolist() == list(range(1, 601))
    assert set(gaze["source"].to_pylist()) == {"imported"}


def test_markers_cut_it_into_readings_on_the_session_clock(tmp_path: Path) -> None:
    gaze_file(tmp_path / "a.xdf", markers=True)
    first, second = (item.reading for item in ingested(tmp_path / "a.xdf"))
    assert first is not None
    assert second is not None
    assert first.meta.time_origin == "image_on"
    assert (first.meta.duration_ns, second.meta.duration_ns) == (10**9, 1_500_000_000)
    assert first.table("gaze")["x_screen_px"].to_numpy().tolist() == [float(n) for n in range(101, 201)]


def labrecorder_header(sender: Sender) -> str:
    """The sender's own header with what a StreamInfo adds, and the display that a lab writes beside it."""
    described = "".join(
        "<channel>" + "".join(element(tag, text) for tag, text in channel.items()) + "</channel>"
        for channel in sender.channels
    )
    acquisition = "".join(element(tag, text) for tag, text in sender.acquisition.items())
    display = "<width_px>2000</width_px><height_px>1000</height_px><width_mm>500</width_mm><height_mm>250</height_mm>"
    return (
        '<?xml version="1.0"?><info>' + element("name", sender.name) + element("type", sender.kind)
        + element("channel_count", len(sender.channels)) + element("channel_format", sender.channel_format)
        + element("nominal_srate", sender.nominal_rate_hz) + element("source_id", sender.source_id)
        + "<hostname>lab</hostname><desc>" + "".join(element(t, v) for t, v in sender.top.items())
        + f"<channels>{described}</channels><acquisition>{acquisition}</acquisition>"
        + f"<setup><display>{display}<distance_mm>600</distance_mm></display></setup></desc></info>"
    )  # fmt: skip


@pytest.mark.parametrize("profile", ["eyelink", "tobiipro"])
def test_a_file_of_a_known_sender_by_labrecorder(profile: str, tmp_path: Path) -> None:
    """Its samples again and again for 10 s, on a clock 3 s behind that drifts by 50 ppm."""
    sender = next(s for s in SENDERS if s.profile == profile)
    rows = np.array(sender.rows * 100)
    device = next((n for n, c in enumerate(sender.channels) if c["label"] == "eyelink_timestamp"), None)
    if device is not None:  # the tracker's clock goes on
        rows[:, device] += np.repeat(np.arange(100) * 100.0, len(sender.rows))
    t_s = 50.0 + np.arange(len(rows)) * 10.0 / len(rows)
    path = tmp_path / f"{profile}.xdf"
    with path.open("wb") as file:
        writer = XdfWriter(file)
        writer.header(7, labrecorder_header(sender))
        for start in range(0, len(rows), 40):
            part = slice(start, start + 40)
            writer.clock_offset(7, float(t_s[start]), 3.0 + 5e-5 * (t_s[start] - 50.0))
            writer.numbers(7, t_s[part], list(rows[part].T), sender.channel_format)
            writer.boundary()
        writer.footer(7, t_s)
    (item,) = ingested(path)
    assert item.error is None
    assert item.reading is not None
    meta, gaze = item.reading.meta, item.reading.table("gaze")
    assert (meta.tracker.profile, meta.source_format, meta.access_tier) == (profile, "xdf", "local-only")
    assert meta.display is not None
    assert (meta.display.width_px, meta.display.width_mm, meta.display.distance_mm) == (2000, 500.0, 600.0)
    n_distinct = len(next(iter(sender.expected.values())))
    assert gaze.num_rows == 100 * n_distinct, "what a sender sends twice counts once"
    for column, expected in sender.expected.items():
        found = gaze[column].to_pylist()
        for n, value in enumerate(expected):
            assert all(
                x == value or ((x in (None, False) or x != x) and value != value)
                for x in found[n::n_distinct]
            ), (column, n)
    assert set(gaze["pupil_unit"].to_pylist()) == {sender.pupil_unit}
    assert (np.diff(gaze["t_ns"].to_numpy()) > 0).all()
    assert gaze["t_ns"].to_numpy()[-1] / 1e9 == pytest.approx(t_s[-1] - t_s[0], abs=0.002)


def test_a_cut_file_is_read_to_its_last_whole_chunk(tmp_path: Path) -> None:
    gaze_file(tmp_path / "a.xdf")
    content = (tmp_path / "a.xdf").read_bytes()
    for cut in range(len(content) - 1200, len(content), 37):
        (tmp_path / "cut.xdf").write_bytes(content[:cut])
        (item,) = ingested(tmp_path / "cut.xdf")
        assert item.reading is not None, cut
        n = item.reading.table("gaze").num_rows
        assert n in (500, 550), cut
        assert walk_xdf(tmp_path / "cut.xdf").whole_bytes <= cut
        assert (tmp_path / "cut.xdf").read_bytes() == content[:cut], "the file itself stays as it is"


def test_what_is_no_xdf_and_what_holds_no_gaze_comes_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.xdf").write_bytes(b"no")
    (item,) = ingested(tmp_path / "a.xdf")
    assert isinstance(item.error, SchemaError)
    assert item.error.code == "GT-XDF"
    with (tmp_path / "b.xdf").open("wb") as file:
        XdfWriter(file)
    (item,) = ingested(tmp_path / "b.xdf")
    assert item.error is not None
    assert item.error.code == "GT-NO-GAZE"
