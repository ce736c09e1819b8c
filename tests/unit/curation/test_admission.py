"""What consent and tier let into a dataset: each scope, the tier that is asked for, the tiers of gaze."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.cli import cli
from curation.config import CurationConfig, ExportConfig, PrivacyConfig, remember_config
from curation.consent import CONSENT_LOG
from curation.export.admission import may_show_public_ids
from curation.export.dataset import MANIFEST, export_dataset
from curation.export.hdf5_shard import read_hdf5
from curation.export.parquet_shard import read_parquet
from curation.export.verify import verify_dataset
from curation.ingest.terms import TERMS
from curation.privacy.gaze_tier import GazeTier, samples_for_tier, thinned
from curation.privacy.narrowing import GAZE_TABLES
from curation.run import curate
from gazecapture.console import run_command
from gazecapture.session.consent import SCOPES, ConsentRecord
from gazecapture.store import Store
from keyframes.access import ACCESS_TIERS, AccessTier
from keyframes.errors import ExitCode, PrivacyError
from keyframes.reading import SCHEMAS, Reading

LIGHT = ExportConfig(keyframe_pictures=False, picture_max_side_px=64)
GAZE_COLUMNS = (
    "fixations", "saccades", "keyframes", "trajectory", "region_coverage", "letter_coverage", "lesion_gaze", "issues",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(readings: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two readings of readers R02 and R03 (programs), curated; the films may go to anybody."""
    root = tmp_path_factory.mktemp("made")
    pictures = {n: readings.picture(root / f"{n}.png", seed=n) for n in (1, 2)}
    store = Store.create(root / "store")
    for number, path in pictures.items():
        reading = readings.make_reading(number, duration_s=4.0, rate_hz=250.0, picture_path=path)
        store.add(readings.with_meta(reading, access_tier="open", provenance={}), {0: path})
    remember_config(store.root, CurationConfig())
    assert len(curate(store, CurationConfig()).kept) == 2
    return store


@pytest.fixture
def store(made: Store, tmp_path: Path) -> Store:
    shutil.copytree(made.root, tmp_path / "store")
    return Store.open(tmp_path / "store")


def agree(store: Store, reader_code: str, *scopes: str, tier: AccessTier = "open", day: int = 1) -> None:
    record = ConsentRecord.model_validate(
        {
            "reader_code": reader_code, "version": "1", "time": datetime(2026, 5, day, tzinfo=UTC), "scopes": scopes,
            "sharing_tier": tier,
        }
    )  # fmt: skip
    with (store.root / CONSENT_LOG).open("a") as log:
        log.write(record.model_dump_json() + "\n")


def rows_of(store: Store, out: Path, **settings: Any) -> list[dict[str, Any]]:
    """Export by both formats; return the rows by reader, after a look that both formats say the same."""
    config = CurationConfig(privacy=PrivacyConfig(originals=False, **settings), export=LIGHT)
    exported = export_dataset(store, out, reading_ids=store.reading_ids(), config=config)
    assert verify_dataset(out).n_readings == exported.n_readings, "its marks allow what it holds"
    rows = [r for p in out.glob("readings/*.parquet") for b in read_parquet(p) for r in b.to_pylist()]
    hdf5 = [r for p in out.glob("hdf5/*.h5") for r in read_hdf5(p).to_pylist()]
    for name in ("gaze_tier", "access_tier", "words", *GAZE_COLUMNS):
        assert {str(r[name]) for r in rows} == {str(r[name]) for r in hdf5}, name
    return sorted(rows, key=lambda row: str(row["reader_code"]))


def test_no_record_no_export(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["export", "--store", str(store.root), "--out", str(out), "--json"]
    assert run_command(cli, command) == ExitCode.NOTHING_LEFT
    assert not (out / MANIFEST).exists()
    agree(store, "R03", *SCOPES)
    assert run_command(cli, command) == ExitCode.SOME_FAILED
    result = json.loads(capsys.readouterr().out)
    assert result["left_out"]["held_back"] == 1
    (held,) = result["export"]["held_back"]
    assert store.meta(held).reader_code == "R02"
    assert json.loads((out / MANIFEST).read_bytes())["n_readings"] == 1


def test_run_lists_who_did_not_agree(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agree(store, "R03", *SCOPES)
    command = ["run", "--store", str(store.root), "--out", str(tmp_path / "out"), "-j", "1", "--json"]
    assert run_command(cli, command) == ExitCode.SOME_FAILED
    result = json.loads(capsys.readouterr().out)
    assert [store.meta(i).reader_code for i in result["held_back"]] == ["R02"]
    assert [store.meta(i).reader_code for i in result["kept"]] == ["R03"]
    assert run_command(cli, ["status", "--store", str(store.root), "--json"]) == ExitCode.OK
    counts = json.loads(capsys.readouterr().out)
    assert (counts["curated"], counts["held_back"]) == (1, 1)


def test_a_withdrawal_counts_from_the_next_export_on(store: Store, tmp_path: Path) -> None:
    agree(store, "R02", *SCOPES)
    agree(store, "R03", *SCOPES)
    assert len(rows_of(store, tmp_path / "out")) == 2
    agree(store, "R02", day=2)
    assert [row["reader_code"] for row in rows_of(store, tmp_path / "out")] == ["R03"]


def test_each_scope_takes_what_it_is_about(store: Store, tmp_path: Path) -> None:
    agree(store, "R02", "gaze", "audio", tier="consented")
    agree(store, "R03", "audio", "pupil")
    without_pupil, without_gaze = rows_of(store, tmp_path / "one", gaze_tier="raw")
    assert without_pupil["fixations"]
    assert {f["pupil"] for f in without_pupil["fixations"]} == {None}
    assert without_pupil["saccades"]
    assert without_gaze["words"]
    assert without_gaze["text"]
    assert not any(without_gaze[name] for name in GAZE_COLUMNS)
    assert without_gaze["gaze_tier"] == "none"
    assert without_gaze["tracker"] == dict.fromkeys(without_gaze["tracker"])
    assert {row["metric"] for row in without_gaze["quality"]} == {"duration"}
    assert (without_pupil["access_tier"], without_gaze["access_tier"]) == ("consented", "open")
    agree(store, "R02", "gaze", "pupil", day=2)
    without_words = rows_of(store, tmp_path / "two")[0]
    assert without_words["fixations"][0]["pupil"] == pytest.approx(3.5)
    assert (without_words["words"], without_words["sentences"], without_words["text"]) == ([], [], None)
    assert {frame["sentence_id"] for frame in without_words["keyframes"]} <= {None}
    assert not any("dictation" in row["metric"] for row in without_words["quality"])


def test_typed_words_are_no_voice(store: Store, tmp_path: Path) -> None:
    agree(store, "R02", "gaze")
    agree(store, "R03", "gaze")
    first = store.reading_ids()[0]
    path = store.folder(first) / "words.parquet"
    words = pq.read_table(path)
    place = words.column_names.index("source")
    typed = words.set_column(place, words.schema.field("source"), pa.array(["typed"] * words.num_rows))
    pq.write_table(typed, path)
    by_id = {row["reading_id"]: row for row in rows_of(store, tmp_path / "out")}
    assert by_id.pop(first)["words"]
    (other,) = by_id.values()
    assert other["words"] == []


def test_every_table_of_a_reading_is_of_the_gaze_or_is_not() -> None:
    other = {"images", "words", "sentences", "findings", "truth", "regions", "quality", "issues", "qa"}
    assert set(GAZE_TABLES) | other == set(SCHEMAS)
    assert not set(GAZE_TABLES) & other


@pytest.mark.parametrize("asked", ["open", "consented"])
def test_a_laxer_tier_than_a_reading_allows_ends_with_5(
    store: Store, tmp_path: Path, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agree(store, "R02", *SCOPES, tier="credentialed")
    agree(store, "R03", *SCOPES)
    out = tmp_path / "out"
    command = ["export", "--store", str(store.root), "--out", str(out)]
    assert run_command(cli, [*command, "--tier", asked]) == ExitCode.PRIVACY
    assert "GT-TIER" in capsys.readouterr().err
    assert not (out / MANIFEST).exists()
    assert [path.name for path in out.iterdir()] == [".gazecapture"]
    for tier, expected in (("local-only", "local-only"), ("credentialed", "credentialed")):
        assert run_command(cli, [*command, "--tier", tier]) == ExitCode.OK
        assert json.loads((out / MANIFEST).read_bytes())["access_tier"] == expected


def test_a_mixture_has_the_strictest_tier(store: Store, tmp_path: Path) -> None:
    agree(store, "R02", *SCOPES, tier="consented")
    agree(store, "R03", *SCOPES)
    assert [row["access_tier"] for row in rows_of(store, tmp_path / "out")] == ["consented", "open"]
    assert json.loads((tmp_path / "out" / MANIFEST).read_bytes())["access_tier"] == "consented"
    assert "| access tier | consented |" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(TERMS))
def test_public_ids_only_at_their_own_tier_or_a_stricter(name: str) -> None:
    own = ACCESS_TIERS.index(TERMS[name].access_tier)
    shown = [may_show_public_ids(name, tier) for tier in ACCESS_TIERS]
    assert shown == [False] * own + [True] * (len(ACCESS_TIERS) - own)
    assert not any(may_show_public_ids("session", tier) for tier in ACCESS_TIERS), "no published dataset"


def test_the_tier_of_the_settings_is_obeyed(store: Store, tmp_path: Path) -> None:
    agree(store, "R02", *SCOPES, tier="local-only")
    config = CurationConfig(export=LIGHT.model_copy(update={"tier": "open"}))
    with pytest.raises(PrivacyError, match="1 of 1 readings allow local-only"):
        export_dataset(store, tmp_path / "out", reading_ids=store.reading_ids(), config=config)


@pytest.mark.parametrize(
    ("tier", "kinds", "with_velocity"),
    [("raw", True, True), ("120hz", True, False), ("fixations", False, False)],
)
def test_the_tiers_of_gaze(store: Store, tmp_path: Path, tier: str, kinds: bool, with_velocity: bool) -> None:
    agree(store, "R02", *SCOPES)
    (row,) = rows_of(store, tmp_path / "out", gaze_tier=tier)
    assert row["gaze_tier"] == tier
    assert row["fixations"]
    assert bool(row["saccades"]) == kinds
    speeds = [s["peak_velocity_deg_per_s"] for s in row["saccades"]]
    assert bool(np.isfinite(speeds).any()) == with_velocity
    assert json.loads((tmp_path / "out" / MANIFEST).read_bytes())["gaze_tier"] == tier
    assert f"| gaze tier | {tier} |" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("rate_hz", [30.0, 60.0, 119.9, 120.0, 250.0, 1000.0, 2000.0])
def test_never_more_than_120_samples_a_second(readings: ModuleType, rate_hz: float) -> None:
    reading: Reading = readings.make_reading(1, duration_s=5.0, rate_hz=rate_hz)
    gaze = reading.table("gaze")
    thin = thinned(gaze)
    t_ns = thin["t_ns"].to_numpy()
    starts = t_ns[0] - 500_000_000 // 120 + np.arange(4) * 1_000_000_000
    assert max(np.sum((t_ns >= s) & (t_ns < s + 1_000_000_000)) for s in starts) <= 120
    kept = thin.num_rows / gaze.num_rows
    assert kept == pytest.approx(min(1.0, 120.0 / rate_hz), rel=0.02)
    assert set(t_ns.tolist()) <= set(gaze["t_ns"].to_pylist())
    assert thin.schema == gaze.schema


def test_samples_by_tier(readings: ModuleType) -> None:
    reading: Reading = readings.make_reading(1, duration_s=2.0, rate_hz=500.0)
    gaze = reading.table("gaze")

    def sampled(tier: GazeTier, *, with_pupil: bool) -> pa.Table:
        return samples_for_tier(gaze, tier, with_pupil=with_pupil)

    assert sampled("fixations", with_pupil=True) is None
    assert sampled("raw", with_pupil=True) is gaze
    thin = sampled("120hz", with_pupil=False)
    assert thin.num_rows <= 241
    assert np.isnan(thin["pupil"].to_numpy()).all()
    assert thinned(reading.table("gaze").slice(0, 0)).num_rows == 0
