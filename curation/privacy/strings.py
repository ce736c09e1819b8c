"""Every string of a shard row has a rule here, and a string without one does not leave the store.

A list of what to remove is never complete; this is a list of what each column may hold. Strings from outside (texts,
codes, names of devices) are held against the lexicon and the headers' names wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final, get_args

from curation.export.splits import SPLITS
from curation.ingest.terms import LICENCES, SOURCE_FORMATS
from curation.issues import ISSUE_SEVERITY
from curation.privacy.gaze_tier import GazeTier
from curation.privacy.redaction import Redactor
from keyframes.access import ACCESS_TIERS, SCOPES
from keyframes.errors import PrivacyError
from keyframes.reading import AGE_BANDS, IMAGE_ROLES, SEXES
from keyframes.regions.schemes import load_scheme, packaged_schemes

__all__ = ["STRING_RULES", "RowGuard", "code_pseudonym", "string_places"]

_PLAIN = frozenset({float, int, bool, bytes, type(None)})
"""Kinds of values that no rule is about; nearly all of a row's are of them."""
CODE_DIGITS: Final = 8
"""Hex digits of the keyed hash that takes the place of a code."""
_HASH = re.compile(r"([0-9a-f]{16}|[0-9a-f]{64})(?:_k?\d{1,6}(?:\.png)?)?")
"""What this toolkit computes, as itself or in the name of a picture."""
_OWN_CODES = frozenset(
    {*ISSUE_SEVERITY, *get_args(GazeTier), *SOURCE_FORMATS, *SPLITS, *IMAGE_ROLES, *ACCESS_TIERS, *SCOPES}
)
"""Kept though a patient be called so: replaced, they would stand in every other reading as what had to stay behind."""
_SEPARATORS = re.compile(r"[_.:/-]")
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){1,3}(?:(?:a|b|rc|\.dev)\d{1,4})?")

TEXT: Final = "text"
"""What people said or typed: what could name somebody becomes ``[redacted]``."""
WORDS: Final = "words"
"""The same, one word per row of its list; judged together with its neighbours."""
CODE: Final = "code"
"""A label or id: kept where it could name nobody or is a hash already, else replaced by a keyed hash of it, so that
rows stay apart and what was equal stays equal."""
REGION: Final = "region"
"""Name of a region, letter or scheme: kept where a packaged scheme has it, else as TEXT."""
LICENCE: Final = "licence"
"""Kept where it is one of `curation.ingest.terms`, version number and all, else as TEXT."""
VERSION: Final = "version"
"""Numbers of a version of this toolkit. Anything else is an error."""
SEX: Final = "sex"
AGE_BAND: Final = "age_band"
"""One of the words that `keyframes.reading` lists. Anything else is an error."""
PUBLIC_ID: Final = "public_id"
"""An id that a published dataset gave: kept; `RowOptions.public_ids` says whether it is in the row at all."""

_SHAPES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        VERSION: _VERSION,
        SEX: re.compile("|".join(SEXES)),
        AGE_BAND: re.compile("|".join(map(re.escape, AGE_BANDS))),
        PUBLIC_ID: re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"),
    }
)
"""What a string must look like whole, by rule."""


@cache
def _scheme_names() -> frozenset[str]:
    """Return what the packaged schemes name: themselves, their regions, their letters."""
    schemes = [load_scheme(name) for name in packaged_schemes()]
    return frozenset(
        name
        for scheme in schemes
        for name in (scheme.name, *scheme.regions, *(letter for letter, _ in scheme.letters))
    )


def _known_values(rule: str) -> Collection[str]:
    """Return values that a column of this rule keeps whatever its words are: our own, and names of licences."""
    if rule == REGION:
        return _scheme_names()
    return {CODE: _OWN_CODES, LICENCE: LICENCES}.get(rule, ())


STRING_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reading_id": CODE,
        "schema_version": VERSION,
        "split": CODE,
        "split_official": CODE,
        "source_format": CODE,
        "source_licence": LICENCE,
        "access_tier": CODE,
        "gaze_tier": CODE,
        "consent_scopes[]": CODE,
        "time_origin": CODE,
        "reader_code": CODE,
        "reader_site": CODE,
        "patient_key": CODE,
        "study_key": CODE,
        "public_patient_id": PUBLIC_ID,
        "public_study_id": PUBLIC_ID,
        "sex": SEX,
        "age_band": AGE_BAND,
        "session_key": CODE,
        "repeat_of": CODE,
        "study_arm": CODE,
        "indication": TEXT,
        "report_sections[].section": CODE,
        "report_sections[].text": TEXT,
        "tracker.manufacturer": TEXT,
        "tracker.model": TEXT,
        "tracker.profile": CODE,
        "tracker.gaze_source": CODE,
        "images[].path": CODE,
        "image_info[].role": CODE,
        "image_info[].view_position": CODE,
        "image_info[].spacing_kind": CODE,
        "image_info[].public_dicom_id": PUBLIC_ID,
        "image_info[].sha256": CODE,
        "image_info[].picture_sha256": CODE,
        "image_info[].picture_salted_sha256": CODE,
        "text": TEXT,
        "words[].word": WORDS,
        "words[].source": CODE,
        "words[].placing": CODE,
        "words[].transcript": CODE,
        "sentences[].sentence_id": CODE,
        "sentences[].text": TEXT,
        "sentences[].finding_ids[]": CODE,
        "sentences[].mentions[].label": CODE,
        "sentences[].mentions[].certainty": CODE,
        "sentences[].mentions_by": CODE,
        "fixations[].region": REGION,
        "fixations[].letter": REGION,
        "fixations[].sentence_ids[]": CODE,
        "fixations[].finding_ids_by_sentence[]": CODE,
        "fixations[].finding_ids_by_box[]": CODE,
        "keyframes[].kind": CODE,
        "keyframes[].status": CODE,
        "keyframes[].profile": CODE,
        "keyframes[].sentence_id": CODE,
        "keyframes[].region": REGION,
        "keyframes[].letter": REGION,
        "keyframes[].picture.path": CODE,
        "trajectory[].letter": REGION,
        "trajectory[].region": REGION,
        "region_coverage[].region": REGION,
        "region_coverage[].letter": REGION,
        "letter_coverage[].letter": REGION,
        "lesion_gaze[].finding_id": CODE,
        "lesion_gaze[].error": CODE,
        "region_scheme": REGION,
        "regions[].region": REGION,
        "regions[].letter": REGION,
        "regions[].provider": CODE,
        **{
            f"{table}[].{name}": rule
            for table in ("findings", "truth")
            for name, rule in {
                "finding_id": CODE,
                "label": TEXT,
                "shape": CODE,
                "sentence_ids[]": CODE,
                "source": CODE,
            }.items()
        },
        "qa[].question": TEXT,
        "qa[].answer": TEXT,
        "qa[].type": CODE,
        "qa[].source": CODE,
        "quality[].metric": CODE,
        "quality[].unit": CODE,
        "quality[].sentence_id": CODE,
        "issues[].code": CODE,
        "issues[].severity": CODE,
        "issues[].message": TEXT,
        "issues[].sentence_id": CODE,
        "config_hash": CODE,
        "tool_version": VERSION,
    }
)
"""By place in the row; ``[]`` stands for the members of a list."""


@dataclass(frozen=True, kw_only=True)
class RowGuard:
    """Frees a shard row of every string that its column may not hold."""

    redactor: Redactor
    keyed_hash: Callable[..., str]
    """(kind, value) -> hex digits, with the store's key."""
    own_ids: Collection[str] = frozenset()
    """Hashes that this toolkit gave the reading. One in 1,850 has no letter, and digits alone may be somebody's id."""
    replaced_codes: set[str] = field(default_factory=set, repr=False, compare=False)
    """Codes and ids that a hash took the place of, so far."""
    unknown_words: set[str] = field(default_factory=set, repr=False, compare=False)
    """Words of texts that were redacted because no list has them, so far."""
    _seen: dict[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row with every string judged by `STRING_RULES`; numbers, bytes and nulls stay as they are.

        Raises PrivacyError, naming the place and never the value, where a string has no rule.
        """
        return {name: self._judged(name, value) for name, value in row.items()}

    def _judged(self, place: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._string(place, value)
        if isinstance(value, dict):
            return {
                name: member if type(member) in _PLAIN else self._judged(f"{place}.{name}", member)
                for name, member in value.items()
            }
        if isinstance(value, list | tuple):
            inner = f"{place}[]"
            if value and STRING_RULES.get(f"{inner}.word") == WORDS:
                spoken = self.redactor.words([member["word"] for member in value])
                value = [{**member, "word": word} for member, word in zip(value, spoken, strict=True)]
            return [member if type(member) in _PLAIN else self._judged(inner, member) for member in value]
        if isinstance(value, Mapping):
            return self._judged(place, dict(value))
        return value

    def _string(self, place: str, value: str) -> str:
        rule = STRING_RULES.get(place)
        if rule is None:
            raise PrivacyError(
                f"the row's {place} is a string without a rule", hint="Give it one in STRING_RULES."
            )
        if rule == WORDS:
            return value
        if rule in _SHAPES:
            if not _SHAPES[rule].fullmatch(value):
                raise PrivacyError(f"the row's {place} does not look as rule {rule!r} asks")
            return value
        key = (rule, value)
        if key not in self._seen:
            self._seen[key] = self._outside(rule, value)
        return self._seen[key]

    def _outside(self, rule: str, value: str) -> str:
        if value in _known_values(rule):
            return value
        if rule == CODE:
            if self._is_hash(value) or not self.redactor.count_in(_SEPARATORS.sub(" ", value)):
                return value
            self.replaced_codes.add(value)
            return code_pseudonym(self.keyed_hash, value)
        self.unknown_words.update(self.redactor.unknown_in(value))
        return self.redactor(value)

    def _is_hash(self, value: str) -> bool:
        found = _HASH.fullmatch(value)
        return found is not None and (not found[1].isdigit() or found[1] in self.own_ids)


def code_pseudonym(keyed_hash: Callable[..., str], value: str) -> str:
    """Return what takes the place of a code that may name somebody."""
    return f"x-{keyed_hash('code', value)[:CODE_DIGITS]}"


def string_places(row: Any, place: str = "") -> set[str]:
    """Return the places of all strings of a row, spelt as in `STRING_RULES`."""
    if isinstance(row, str):
        return {place}
    if isinstance(row, Mapping):
        parts = (string_places(v, f"{place}.{k}" if place else k) for k, v in row.items())
    elif isinstance(row, list | tuple):
        parts = (string_places(v, f"{place}[]") for v in row)
    else:
        return set()
    return set().union(*parts)
