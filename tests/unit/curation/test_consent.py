"""Which record of a reader counts, and what it allows of a reading."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from curation.cli import cli
from curation.consent import CONSENT_LOG, Consents
from curation.ingest.into_store import INGESTERS
from curation.ingest.terms import CONSENT_SOURCE, TERMS
from gazecapture.console import run_command
from gazecapture.session.consent import SCOPES, SIMULATED_READER, ConsentRecord
from gazecapture.store import Store
from keyframes.errors import ExitCode
from keyframes.reading import ReadingMeta


def record(day: int, *scopes: str, tier: str = "consented", simulated: bool = False) -> ConsentRecord:
    return ConsentRecord.model_validate(
        {
            "reader_code": "R02",
            "version": "1",
            "time": datetime(2026, 1, day, tzinfo=UTC),
            "scopes": scopes,
            "sharing_tier": tier,
            "simulated": simulated,
        }
    )


@pytest.fixture
def consents(tmp_path: Path) -> Consents:
    return Consents.of(Store.create(tmp_path / "store"))


@pytest.fixture
def meta(readings: ModuleType) -> ReadingMeta:
    found: ReadingMeta = readings.with_meta(
        readings.make_reading(1, duration_s=1.0), access_tier="open", provenance={}
    ).meta
    assert found.reader_code == "R02"
    return found


def changed(readings: ModuleType, meta: ReadingMeta, **changes: object) -> ReadingMeta:
    found: ReadingMeta = readings.replace(meta, **changes)
    return found


def test_without_a_record_nothing_is_allowed(consents: Consents, meta: ReadingMeta) -> None:
    assert consents.permission(meta) is None
    assert consents.put(record(1)).permission(meta) is None  # asked, and agreed to nothing
    assert consents.put(record(1, "teaching")).permission(meta) is None  # teaching is no export


def test_the_newest_counts_in_whatever_order_they_come(consents: Consents, meta: ReadingMeta) -> None:
    wide, narrow = record(1, "gaze", "audio", "pupil"), record(2, "gaze", "pupil", tier="local-only")
    for first, second in ((wide, narrow), (narrow, wide)):
        allowed = consents.put(first).put(second).permission(meta)
        assert allowed is not None
        assert (allowed.gaze, allowed.pupil, allowed.words, allowed.tier) == (True, True, False, "local-only")


def test_records_are_only_appended_each_once(consents: Consents, tmp_path: Path) -> None:
    path = tmp_path / "store" / CONSENT_LOG
    consents = consents.put(record(1, "gaze"))
    before = path.read_bytes()
    again = Consents.of(Store.open(tmp_path / "store")).put(record(1, "gaze")).put(record(2))
    assert path.read_bytes().startswith(before)
    assert Consents.of(Store.open(tmp_path / "store")).records == again.records
    assert len(again.records) == 2
    assert path.stat().st_mode & 0o077 == 0


def test_a_torn_line_allows_nothing(consents: Consents, meta: ReadingMeta, tmp_path: Path) -> None:
    consents.put(record(1, "gaze"))
    path = tmp_path / "store" / CONSENT_LOG
    path.write_bytes(path.read_bytes()[:-5])
    assert Consents.of(Store.open(tmp_path / "store")).permission(meta) is None


def test_what_a_program_may_says_nothing_of_a_person(
    consents: Consents, meta: ReadingMeta, readings: ModuleType
) -> None:
    consents = consents.put(ConsentRecord.of_simulated_reader("R02"))
    assert consents.permission(meta) is None
    allowed = consents.permission(changed(readings, meta, provenance={**SIMULATED_READER}))
    assert allowed is not None
    assert allowed.scopes == set(SCOPES)


def test_pupils_are_part_of_the_gaze(consents: Consents, meta: ReadingMeta) -> None:
    allowed = consents.put(record(1, "audio", "pupil")).permission(meta)
    assert allowed is not None
    assert (allowed.gaze, allowed.pupil, allowed.words) == (False, False, True)


def test_the_stricter_of_film_and_reader_is_the_tier(
    consents: Consents, meta: ReadingMeta, readings: ModuleType
) -> None:
    consents = consents.put(record(1, "gaze", tier="consented"))
    for film, expected in (("open", "consented"), ("credentialed", "credentialed")):
        allowed = consents.permission(changed(readings, meta, access_tier=film))
        assert allowed is not None
        assert allowed.tier == expected


@pytest.mark.parametrize("name", sorted(TERMS))
def test_published_datasets_allow_by_their_terms(
    consents: Consents, meta: ReadingMeta, readings: ModuleType, name: str
) -> None:
    terms = TERMS[name]
    published = changed(readings, meta, source_format=name, provenance=terms.provenance, **terms.of_reading)
    allowed = consents.permission(published)
    assert allowed is not None
    assert (allowed.scopes, allowed.tier) == (set(terms.scopes), "credentialed")
    assert published.provenance[CONSENT_SOURCE] == terms.source != ""
    # A source of no known terms that claims scopes for itself is a lab's own all the same.
    assert consents.permission(changed(readings, published, source_format="tobii-tsv")) is None
    # What was ingested before there were terms has none.
    assert consents.permission(changed(readings, published, consent_scopes=())) is None


def test_every_ingester_is_of_a_published_dataset_or_needs_consent() -> None:
    own = {"session", "eyelink-asc", "tobii-tsv", "neon", "xdf", "bids"}
    assert set(INGESTERS) <= own | set(TERMS)
    assert not own & set(TERMS)


def test_teaching_alone_lets_nothing_out(consents: Consents, meta: ReadingMeta) -> None:
    assert consents.put(record(1, "teaching")).permission(meta) is None
    assert consents.put(record(1, "gaze", "teaching")).permission(meta) is not None


def test_teaching_needs_the_consent_of_both_readers(
    consents: Consents, meta: ReadingMeta, readings: ModuleType
) -> None:
    expert = changed(readings, meta, reader_code="R01")
    assert not consents.may_teach()
    assert not consents.may_teach(expert, meta)
    trainee_agrees = consents.put(record(1, "gaze", "teaching"))
    assert trainee_agrees.may_teach(meta)
    assert not trainee_agrees.may_teach(expert, meta)
    assert not trainee_agrees.may_teach(meta, expert)
    without = record(1, "gaze", "audio", "pupil").model_copy(update={"reader_code": "R01"})
    assert not trainee_agrees.put(without).may_teach(expert, meta), "every other scope is no teaching"
    alone = record(1, "teaching").model_copy(update={"reader_code": "R01"})
    both = trainee_agrees.put(alone)
    assert both.may_teach(expert, meta)
    assert not both.put(record(2, "gaze")).may_teach(expert, meta), "the newest record counts"


def test_teaching_by_a_program_or_under_a_datasets_terms(
    consents: Consents, meta: ReadingMeta, readings: ModuleType
) -> None:
    simulated = changed(readings, meta, provenance=dict(SIMULATED_READER))
    consents = consents.put(ConsentRecord.of_simulated_reader("R02"))
    assert consents.may_teach(simulated)
    assert not consents.may_teach(meta), "a person with a program's code"
    assert not consents.may_teach(simulated, meta)
    for source_format in TERMS:
        published = changed(readings, meta, reader_code="theirs", source_format=source_format)
        assert not consents.may_teach(published)
        every_scope = changed(readings, published, consent_scopes=SCOPES)
        assert not consents.may_teach(every_scope)


def test_the_command_records_withdraws_and_shows(
    consents: Consents, meta: ReadingMeta, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*options: str, expect: ExitCode = ExitCode.OK) -> list[dict[str, object]]:
        command = ["consent", "--store", str(consents.path.parent), "--json", *options]
        assert run_command(cli, command) == expect
        out = capsys.readouterr().out
        found: list[dict[str, object]] = json.loads(out)["consents"] if out else []
        return found

    reader = ("--reader", "R02")
    told(*reader, "--scope", "gaze", expect=ExitCode.USAGE)  # of which text?
    told("--scope", "gaze", "--version", "1", expect=ExitCode.USAGE)  # whose?
    told(*reader, "--scope", "gaze", "--withdraw", expect=ExitCode.USAGE)
    told(*reader, "--version", "1", expect=ExitCode.USAGE)
    assert told() == []
    (record,) = told(*reader, "--scope", "pupil", "--scope", "gaze", "--version", "1", "--tier", "open")
    assert (record["scopes"], record["sharing_tier"]) == (["gaze", "pupil"], "open")
    (record,) = told(*reader, "--withdraw")
    assert (record["scopes"], record["version"]) == ([], "1")
    assert Consents.of(Store.open(consents.path.parent)).permission(meta) is None
