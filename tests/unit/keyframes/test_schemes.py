"""The letter schemes: the packaged one as documented, and clear errors for a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyframes.errors import ConfigError
from keyframes.regions.schemes import load_scheme, packaged_schemes, parse_scheme

LETTERS = {
    "A": ["trachea", "carina"],
    "B": [
        f"{side} {part}"
        for side in ("left", "right")
        for part in ("lung", "upper lung zone", "mid lung zone", "lower lung zone", "apical zone", "costophrenic angle")
    ],
    "C": [
        "cardiac silhouette", "left cardiac silhouette", "right cardiac silhouette", "mediastinum", "upper mediastinum",
        "aortic arch", "descending aorta", "svc", "right atrium", "cavoatrial junction", "left hilar structures",
        "right hilar structures", "left cardiophrenic angle", "right cardiophrenic angle",
    ],
    "D": ["left hemidiaphragm", "right hemidiaphragm", "abdomen", "left upper abdomen", "right upper abdomen"],
    "E": ["spine", "left clavicle", "right clavicle"],
}  # fmt: skip

BREAST = """
name = "breast-v1"
title = "Mammogram"
outside = { name = "background", letter = "O" }
letters = [{ letter = "N", title = "nipple" }, { letter = "G", title = "gland" }, { letter = "O", title = "outside" }]
[[groups]]
name = "landmarks"
regions = [{ name = "nipple", letter = "N" }]
[[groups]]
name = "breast"
regions = [{ name = "gland", letter = "G", alternates = ["N"] }]
"""


def test_gazex_v1_gives_all_36_locations_their_documented_letter() -> None:
    scheme = load_scheme()
    documented = {name: letter for letter, names in LETTERS.items() for name in names}
    assert len(documented) == 36
    others = {"device", "external", "whole lung"}
    assert {n: r.letter for n, r in scheme.regions.items() if n not in others} == documented
    assert scheme.name == "gazex-v1"
    assert scheme.letter_of("device") == "F"
    assert scheme.letter_of("external") == "E"
    assert scheme.outside == "external"


def test_gazex_v1_knows_the_twelve_areas_and_where_they_are() -> None:
    scheme = load_scheme()
    assert scheme.areas == (
        "abdomen", "cardiac silhouette", "left apical zone", "left hilar structures", "left lung", "mediastinum",
        "right apical zone", "right hilar structures", "right lung", "whole lung", "spine", "trachea",
    )  # fmt: skip
    assert all(scheme.regions[area].area == area for area in scheme.areas), "every area is a region as well"
    assert scheme.letter_of("whole lung") == "B"
    assert scheme.regions["left mid lung zone"].area == "left lung"
    assert {n for n, r in scheme.regions.items() if not r.area} == {
        "device",
        "external",
        "left clavicle",
        "right clavicle",
    }


def test_the_published_letter_schemes_contradict_each_other() -> None:
    gazex, radiopaedia, mnemonics = map(
        load_scheme, ("gazex-v1", "radiopaedia-abcde-2023", "mnemonics-abcdef-v1")
    )
    for region, letters in {
        "left mid lung zone": "BBF",
        "left clavicle": "EDB",
        "left hemidiaphragm": "DBD",
        "left costophrenic angle": "BBC",
        "cardiac silhouette": "CCC",
        "left hilar structures": "CCA",
        "trachea": "AAA",
        "device": "FEE",
    }.items():
        assert "".join(s.letter_of(region) for s in (gazex, radiopaedia, mnemonics)) == letters, region
    assert set(gazex.regions) == set(radiopaedia.regions) == set(mnemonics.regions)
    assert all(gazex.priority(r) == mnemonics.priority(r) == radiopaedia.priority(r) for r in gazex.regions)
    assert [letter for letter, _ in radiopaedia.letters] == list("ABCDE")


def test_every_packaged_scheme_is_named_like_its_file_and_says_its_body_part() -> None:
    for name in packaged_schemes():
        scheme = load_scheme(name)
        assert scheme.name == name
        assert scheme.body_part == ("breast" if name.startswith("mammo") else "chest")
        assert set(scheme.regions).isdisjoint(load_scheme().regions) == name.startswith("mammo")


def test_a_file_may_not_bear_a_packaged_name_unless_it_is_that_scheme(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(BREAST.replace("breast-v1", "gazex-v1"), encoding="utf-8")
    with pytest.raises(ConfigError, match="called 'gazex-v1' like a packaged one"):
        load_scheme(file)


def test_the_content_hash_changes_with_the_content() -> None:
    changed = BREAST.replace('letter = "G", alternates', 'letter = "O", alternates')
    assert parse_scheme(BREAST).content_hash == parse_scheme(BREAST).content_hash
    assert parse_scheme(BREAST).content_hash != parse_scheme(changed).content_hash


def test_letters_come_in_reading_order_with_titles() -> None:
    assert load_scheme("gazex-v1").letters == (
        ("A", "airways"),
        ("B", "breathing"),
        ("C", "circulation"),
        ("D", "diaphragm"),
        ("E", "external"),
        ("F", "foreign material"),
    )


def test_priorities_follow_the_documented_order() -> None:
    scheme = load_scheme()
    order = [
        "device", "aortic arch", "trachea", "left apical zone", "left hemidiaphragm", "left mid lung zone",
        "cardiac silhouette", "left lung", "mediastinum", "spine", "abdomen", "external",
    ]  # fmt: skip
    priorities = [scheme.priority(name) for name in order]
    assert priorities == sorted(set(priorities))
    assert scheme.priority("left hilar structures") == scheme.priority("svc")
    assert scheme.priority("right costophrenic angle") == scheme.priority("right apical zone")


def test_a_scheme_of_another_body_part_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "breast.toml"
    file.write_text(BREAST, encoding="utf-8")
    scheme = load_scheme(file)
    assert load_scheme(str(file)) == scheme
    assert scheme.letter_of("gland") == "G"
    assert scheme.regions["gland"].alternates == ("N",)
    assert scheme.priority("nipple") < scheme.priority("gland") < scheme.priority("background")
    assert "gland" in scheme
    assert "heart" not in scheme


def test_an_unknown_region_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'gazex-v1' has no region 'femur'"):
        load_scheme().letter_of("femur")
    with pytest.raises(ConfigError, match="femur"):
        load_scheme().priority("femur")


def test_an_unknown_scheme_lists_the_packaged_ones() -> None:
    with pytest.raises(ConfigError, match="no scheme 'abcdef'") as caught:
        load_scheme("abcdef")
    assert "gazex-v1" in caught.value.hint
    assert "gazex-v1" in packaged_schemes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('letter = "G", alternates', 'letter = "X", alternates', "'gland' has letter 'X'"),
        ('alternates = ["N"]', 'alternates = ["Q"]', "'gland' has letter 'Q'"),
        ('name = "gland"', 'name = "nipple"', "region 'nipple' twice"),
        ('name = "gland"', 'name = "background"', "region 'background' twice"),
        ('letter = "O", title', 'letter = "N", title', "letter 'N' twice"),
        ('title = "Mammogram"', "", r"field 'title' is off"),
        ('title = "Mammogram"', 'title = "Mammogram"\ncolour = "red"', r"field 'colour' is off"),
        ('name = "breast-v1"', 'name = "Breast V1"', r"field 'name' is off"),
        ('regions = [{ name = "nipple", letter = "N" }]', "regions = []", r"groups.0.regions"),
        ('name = "gland"', 'name = ""', r"groups.1.regions.0.name"),
        ('name = "breast-v1"', "name = breast", "no valid TOML"),
        ('alternates = ["N"]', 'area = "left breast"', "'gland' has area 'left breast'"),
        ('title = "Mammogram"', 'title = "Mammogram"\nareas = ["a", "a"]', "area 'a' twice"),
        ('title = "Mammogram"', 'title = "Mammogram"\nbody_part = "Breast!"', "field 'body_part' is off"),
    ],
)
def test_what_is_off_in_a_scheme_file_is_named_with_its_file(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in BREAST
    file = tmp_path / "mine.toml"
    file.write_text(BREAST.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_scheme(file)
    assert caught.value.path == file
    assert caught.value.exit_code == 2


def test_a_scheme_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scheme(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_scheme(tmp_path / "binary.toml")


def test_a_scheme_cannot_be_changed() -> None:
    scheme = parse_scheme(BREAST)
    with pytest.raises(TypeError):
        scheme.regions["nipple"] = scheme.regions["gland"]  # type: ignore[index]
