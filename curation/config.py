"""The settings of a curation run: a TOML file, checked by pydantic, and their hash.

Every section has one settings class, every field a default, so an empty file is a valid one. An unknown section
or field is an error, never ignored.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from curation.cluster_settings import DaskConfig
from curation.issues import ISSUE_SEVERITY, Severity
from curation.privacy.gaze_tier import GazeTier
from curation.privacy.lexicon import Lexicon, load_lexicon
from curation.region_settings import RegionsConfig
from curation.view_settings import ViewsConfig
from gazecapture.files import write_json_atomically
from keyframes import frames
from keyframes.access import AccessTier
from keyframes.errors import ConfigError
from keyframes.lesions import DECISION_DWELL_S, LESION_RADIUS_DEG
from keyframes.scanpath import SEEN_RADIUS_DEG
from keyframes.sentences import PAUSE_S
from keyframes.trajectory import MERGE_GAP_S, MIN_DWELL_S

__all__ = [
    "CurationConfig",
    "DaskConfig",
    "DictationConfig",
    "EventsConfig",
    "ExportConfig",
    "KeyframesConfig",
    "PrivacyConfig",
    "PublishedConfig",
    "QualityConfig",
    "RegionsConfig",
    "RetentionConfig",
    "SpeechConfig",
    "TrajectoryConfig",
    "ViewsConfig",
    "config_hash",
    "load_config",
    "remember_config",
    "remembered_config",
    "settings_hash",
]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0, le=3600.0)]
Degrees = Annotated[float, Field(gt=0.0, le=45.0)]
_SAME_SEVERITY: Mapping[str, Severity] = MappingProxyType({"warn": "warning", "reject": "error"})
_REMEMBERED = "last_config.json"


class _Section(BaseModel):
    """A section of the file: frozen, without unknown fields, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class QualityConfig(_Section):
    """[quality]: the gates. Defaults of the loss gates are those of REFLACX's authors (Sci Data 2022 9:350)."""

    loss_share_warn: Share = 0.10
    loss_share_reject: Share = 0.15
    longest_loss_warn_s: Seconds = 1.5
    longest_loss_reject_s: Seconds = 3.0
    missing_share_warn: Share = 0.01
    """Samples that the device numbered but that never arrived."""
    accuracy_warn_deg: Degrees = 1.0
    """Mean of the worst validation; the usual limit for fixations on regions."""
    accuracy_drop_warn_deg: Degrees = 0.5
    """Of the validation after the reading against the one before; something moved."""
    drift_warn_deg: Degrees = 1.0
    """Of the check before the reading; its offset was taken off."""
    off_image_share_warn: Share = 0.25
    panel_share_warn: Share = 0.25
    dictation_overlap_warn: Share = 0.80
    """Share of the dictated time in which there is gaze."""
    sentence_loss_warn: Share = 0.5
    """Share of one sentence's time without gaze; its key frames then rest on less than half of it."""
    min_duration_s: Seconds = 1.0
    """Shorter readings cannot hold a sentence and the gaze before it."""
    severity: Mapping[str, Severity] = Field(default_factory=dict)
    """Issue code -> severity in place of its own: ignore, info, warning or warn, error or reject."""

    @field_validator("severity", mode="before")
    @classmethod
    def _in_other_words(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            code: _SAME_SEVERITY.get(name, name) if isinstance(name, str) else name
            for code, name in value.items()
        }

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for low, high in (
            ("loss_share_warn", "loss_share_reject"),
            ("longest_loss_warn_s", "longest_loss_reject_s"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not exceed {high}")
        for code in self.severity:
            if code not in ISSUE_SEVERITY:
                raise ValueError(
                    f"severity: no issue has the code {code} (known: {', '.join(ISSUE_SEVERITY)})"
                )
        return self


class DictationConfig(_Section):
    """[dictation]: words to sentences."""

    pause_s: Annotated[float, Field(gt=0.0, le=60.0)] = PAUSE_S
    """A pause this long ends a sentence where nobody dictates or types a full stop."""


class SpeechConfig(_Section):
    """[speech]: voices to words, when sessions are ingested. Readings that are in a store keep their words."""

    engine: Literal["align", "pocketsphinx", "faster-whisper", "none"] = "align"
    """align: place a transcript that is there. pocketsphinx: recognise, poorly. faster-whisper: recognise, by a
    model."""
    model_folder: Path | None = None
    """Of faster-whisper: a model that was copied here; nothing is downloaded."""
    language: Annotated[str, Field(pattern="^[a-z]{2}$")] = "en"
    hotwords: tuple[str, ...] = ()
    """Words that faster-whisper is primed with."""

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if self.engine == "faster-whisper" and self.model_folder is None:
            raise ValueError("engine faster-whisper needs model_folder")
        return self


class EventsConfig(_Section):
    """[events]: the detector."""

    method: Literal["auto", "adaptive", "clustering", "ivt", "idt"] = "auto"
    """auto: by measured rate and noise."""


class PublishedConfig(_Section):
    """[keyframes.published]: defects of the published scripts; true mends them (`keyframes.published`)."""

    mark_skipped_sentences: bool = True
    """A sentence without gaze keeps a row."""
    mark_blank_holistic: bool = True
    """A sentence whose gaze is all off the image is one without gaze."""
    skip_blank_clusters: bool = True
    """A cluster whose gaze is all off the image has no frame."""


class KeyframesConfig(_Section):
    """[keyframes]: gaze of a sentence to key frames."""

    profile: Literal["toolkit", "published"] = "toolkit"
    """published: the rules of the GazeX scripts, which have no other settings than [keyframes.published]."""
    published: PublishedConfig = PublishedConfig()
    fit_lead: bool = True
    """Fit for each reader by how much the gaze leads the words; false: `lead_s` for everybody."""
    lead_s: Annotated[float, Field(ge=0.0, le=30.0)] = frames.LEAD_S
    """Gaze leads the words by so much, where none was fitted for the reader."""
    cluster_radius_deg: Degrees = frames.CLUSTER_RADIUS_DEG
    """Within it two fixations see the same."""
    min_dwell_s: Seconds = frames.MIN_DWELL_S
    """Less dwell makes no key frame."""
    sigma_deg: Degrees = frames.SIGMA_DEG
    """Standard deviation of the Gaussian that a fixation lights the picture with."""
    box_share: Annotated[float, Field(gt=0.0, lt=1.0)] = frames.BOX_SHARE
    """Share of the heat map's peak from which on an area is hot."""
    edge_tolerance_deg: Annotated[float, Field(ge=0.0, le=45.0)] | None = None
    """Gaze farther beyond the image's edge does not count. Left out: the reading's validation error, at most 1."""
    silent_s: Annotated[float, Field(gt=0.0, le=3600.0)] = frames.SILENT_S
    """Gaze that nothing else cuts is cut into key frames of this length."""
    silent_pause_s: Annotated[float, Field(gt=0.0, le=3600.0)] = frames.SILENT_PAUSE_S
    """So long without gaze on the image ends a key frame of gaze in no sentence."""
    min_silent_s: Seconds = frames.MIN_SILENT_S
    """A shorter gap between sentences stays with the sentence before."""

    @property
    def takes_fitted_leads(self) -> bool:
        """Say whether the key frames depend on the readers' fitted leads."""
        return self.fit_lead and self.profile == "toolkit"


class TrajectoryConfig(_Section):
    """[trajectory]: visits to regions and letters."""

    merge_gap_s: Annotated[float, Field(ge=0.0, le=60.0)] = MERGE_GAP_S
    """Fixations on one region farther apart in time are two visits."""
    min_dwell_s: Annotated[float, Field(ge=0.0, le=60.0)] = MIN_DWELL_S
    """A shorter visit on the way back to the same region is a stray fixation."""
    coverage_radius_deg: Degrees = SEEN_RADIUS_DEG
    """What lies within this of a fixation counts as looked at."""
    lesion_radius_deg: Degrees = LESION_RADIUS_DEG
    """A fixation within this of a reference lesion is on it."""
    decision_dwell_s: Seconds = DECISION_DWELL_S
    """A missed lesion with less dwell was not recognised, with more it was dismissed."""


class PrivacyConfig(_Section):
    """[privacy]: what may leave the store."""

    images: Literal["include", "exclude"] = "include"
    """exclude: gaze and text only."""
    gaze_tier: GazeTier = "fixations"
    """What of the gaze leaves, as it identifies people. raw: all samples. 120hz: samples thinned to at most 120 a
    second. fixations: no samples, no saccades."""
    originals: bool = True
    """De-identified originals beside the shards."""
    text: Literal["lexicon", "names"] = "lexicon"
    """lexicon: words that are neither in the packaged list nor in `word_lists` become [redacted]. names: only the
    names of the headers go, for texts that people have freed of names already."""
    word_lists: tuple[Path, ...] = ()
    """A lab's own words: text files, white space between the words."""

    def lexicon(self) -> Lexicon | None:
        """Return the words that may leave the store; None where `text` asks for names only."""
        return load_lexicon(self.word_lists) if self.text == "lexicon" else None


class ExportConfig(_Section):
    """[export]: the shards."""

    tier: AccessTier | None = None
    """To whom the dataset may go: open, consented, credentialed, local-only. A reading that may not go there ends the
    export (exit 5). Left out: the strictest tier of its readings."""
    formats: tuple[Literal["parquet", "hdf5"], ...] = ("parquet", "hdf5")
    picture_max_side_px: Annotated[int, Field(ge=64, le=8192)] = 1024
    keyframe_pictures: bool = True
    keyframe_max_side_px: Annotated[int, Field(ge=64, le=8192)] = 768
    row_group_mib: Annotated[int, Field(ge=1, le=1024)] = 32
    row_group_rows: Annotated[int, Field(ge=1, le=100_000)] = 128
    readings_per_shard: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    split_train: Share = 0.8
    split_validate: Share = 0.1
    """The rest is test."""
    split_axis: Literal["patient", "reader", "site"] = "patient"
    """What is in one split only; reader and site hold out whole readers or sites, and patients may be in two splits."""
    split_official: Literal["honour", "ignore"] = "honour"
    """honour: what a source calls test stays test. The source's own name stands in `split_official` either way."""
    seed: int = 0
    """Of the splits."""
    allow_mouse_gaze: bool = False
    """Let readings out whose gaze is the mouse cursor (`gazecapture read --gaze mouse`)."""
    allow_no_gaze: bool = False
    """Let readings out that were recorded without an eye tracker (`gazecapture read --gaze none`)."""
    authors: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    """People or institutions that the card and the catalogue name as the dataset's authors."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.split_train + self.split_validate > 1.0:
            raise ValueError("split_train + split_validate must not exceed 1")
        if not self.formats or len(set(self.formats)) != len(self.formats):
            raise ValueError("formats must name at least one format, each once")
        return self


class RetentionConfig(_Section):
    """[retention]: how long what was recorded is kept."""

    retain_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    """`gazecurate run` deletes the audio of sessions older than that. Left out: never."""


class CurationConfig(_Section):
    """All settings of a run."""

    quality: QualityConfig = QualityConfig()
    dictation: DictationConfig = DictationConfig()
    speech: SpeechConfig = SpeechConfig()
    events: EventsConfig = EventsConfig()
    regions: RegionsConfig = RegionsConfig()
    keyframes: KeyframesConfig = KeyframesConfig()
    trajectory: TrajectoryConfig = TrajectoryConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    export: ExportConfig = ExportConfig()
    retention: RetentionConfig = RetentionConfig()
    views: ViewsConfig = ViewsConfig()
    dask: DaskConfig = DaskConfig()


def load_config(path: Path | None) -> CurationConfig:
    """Return the settings of a TOML file; None gives the defaults. Raises ConfigError naming file and field."""
    if path is None:
        return CurationConfig()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint="Give an existing file to -c.", path=path) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", path=path) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", path=path) from None
    try:
        return CurationConfig.model_validate(content, context={"folder": path.parent})
    except ValidationError as error:
        raise _clear(error, path) from None


def config_hash(config: CurationConfig) -> str:
    """Return 16 hex digits that change with any setting, and with the content of the files that [regions] names.

    Raises ConfigError where such a file is gone.
    """
    settings = config.model_dump(
        mode="json", exclude={"retention", "speech", "views", "dask"}
    )  # change no row
    return settings_hash({**settings, "regions": config.regions.inputs()})


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Return 16 hex digits over JSON-ready settings, whatever the order of their keys."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _clear(error: ValidationError, path: Path) -> ConfigError:
    """Say the first thing that is off, by section and field."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "file"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    what = "unknown setting" if first["type"] == "extra_forbidden" else first["msg"]
    return ConfigError(f"{path}: [{place}]: {what}{more}", path=path, hint=_known(first["loc"]))


def _known(place: tuple[int | str, ...]) -> str:
    """Say which settings there are where the name was wrong."""
    if len(place) >= 2 and place[0] in CurationConfig.model_fields:
        section = CurationConfig.model_fields[str(place[0])].annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            return f"[{place[0]}] has: {', '.join(section.model_fields)}."
    return f"Sections: {', '.join(CurationConfig.model_fields)}."


def remember_config(store_root: Path, config: CurationConfig) -> None:
    """Keep the settings of a run in the store, so that `status` and `export` judge by the same ones."""
    write_json_atomically(store_root / _REMEMBERED, config.model_dump(mode="json"))


def remembered_config(store_root: Path) -> CurationConfig:
    """Return the settings of the last run; the defaults where there was none or they are of another version."""
    try:
        return CurationConfig.model_validate_json((store_root / _REMEMBERED).read_bytes())
    except (FileNotFoundError, ValidationError):
        return CurationConfig()
