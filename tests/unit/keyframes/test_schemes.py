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
    assert {n: r.letter for n, r in scheme.regions.items() if n not in {"device", "external"}} == documented
    assert scheme.name == "gazex-v1"
    assert scheme.letter_of("device") == "F"
    assert scheme.letter_of("external") == "E"
    assert scheme.outside == "external"


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
