"""The settings of stage ``regions``: scheme, annotations, segmenter; and what of them makes a result another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from gazecapture.radiograph.annotations.source import AnnotationSource, file_hash, source_hash
from gazecapture.radiograph.segmenter import SegmenterSettings
from keyframes.regions.schemes import DEFAULT_SCHEME, Scheme, load_scheme, packaged_schemes
from keyframes.validation import UNVALIDATED_ERROR_DEG

__all__ = ["AnnotationConfig", "RegionsConfig", "SegmenterConfig"]

SCHEME_SUFFIX = ".toml"
MODEL_HASH_DIGITS = 12
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


def _from_config_folder(path: Path, info: ValidationInfo) -> Path:
    """Return an absolute path: a relative one is meant from the folder of the settings file."""
    folder = (info.context or {}).get("folder", Path.cwd())
    return Path(folder).absolute() / path.expanduser()


ConfigPath = Annotated[Path, AfterValidator(_from_config_folder)]


def _scheme(value: object, info: ValidationInfo) -> str | Path:
    """Return a packaged scheme's name or the path of a file; both are read where the settings file is."""
    if isinstance(value, str) and value.endswith(SCHEME_SUFFIX):
        value = Path(value)
    if isinstance(value, Path):
        value = _from_config_folder(value, info)
        if info.context is not None:  # remembered settings are valid although the file has gone since
            load_scheme(value)
        return value
    if isinstance(value, str) and value in packaged_schemes():
        return value
    raise ValueError(
        f"no scheme of that name (packaged: {', '.join(packaged_schemes())}; "
        f"a file of your own ends in {SCHEME_SUFFIX})"
    )


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AnnotationConfig(_Section):
    """[[regions.annotations]]: regions that others drew."""

    format: Literal["chest-imagenome", "chexmask", "coco", "label-map", "dicom-seg", "reflacx", "egd"]
    path: ConfigPath
    """File or folder. Pictures are known by their SHA-256, SOP Instance UID or public DICOM id."""
    names: Mapping[str, Name] = Field(default_factory=dict)
    """What the source calls a region -> the scheme's name; in a label map its value or colour."""
    pictures: ConfigPath | None = None
    """Folder of the annotated pictures, where the source knows them by their file names only."""
    confidence: Share | None = None
    """In place of the format's own."""

    def source(self) -> AnnotationSource:
        """Return the source that is meant."""
        return AnnotationSource(
            format=self.format,
            path=self.path,
            names=self.names,
            pictures=self.pictures,
            confidence=self.confidence,
        )


class SegmenterConfig(_Section):
    """[regions.segmenter]: an ONNX model; see `gazecapture.radiograph.segmenter.SegmenterSettings`."""

    model: ConfigPath
    labels: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(min_length=1, max_length=1000)]
    input_width_px: Annotated[int, Field(ge=8, le=4096)]
    input_height_px: Annotated[int, Field(ge=8, le=4096)]
    grey_divisor: Annotated[float, Field(gt=0.0)] = 255.0
    mean: float = 0.0
    sd: Annotated[float, Field(gt=0.0)] = 1.0
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    threshold: Share = 0.5
    confidence: Share = 0.7

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = [label for label in self.labels if label]
        if len(set(named)) != len(named) or not named:
            raise ValueError("labels must name at least one region, each once")
        return self

    def settings(self) -> SegmenterSettings:
        """Return the settings of the segmenter."""
        return SegmenterSettings(**self.model_dump())

    def model_hash(self) -> str:
        """Return the first digits of the model file's SHA-256. Raises ConfigError where there is no such file."""
        return file_hash(self.model)[:MODEL_HASH_DIGITS]


class RegionsConfig(_Section):
    """[regions]: the anatomical regions and how gaze spreads over them."""

    scheme: Annotated[str | Path, PlainValidator(_scheme)] = DEFAULT_SCHEME
    """Name of a packaged scheme, or a TOML file of your own."""
    error_deg: Annotated[float, Field(gt=0.0, le=45.0)] = UNVALIDATED_ERROR_DEG
    """The tracker's error (two standard deviations) of a reading without a validation; a fixation spreads over the
    regions within it."""
    annotations: Annotated[tuple[AnnotationConfig, ...], Field(max_length=100)] = ()
    """In the order in which they are asked."""
    segmenter: SegmenterConfig | None = None

    def load_scheme(self) -> Scheme:
        """Return the scheme. Raises ConfigError where a file of the user's own is off or gone."""
        return load_scheme(self.scheme)

    def inputs(self) -> dict[str, Any]:
        """Return, JSON-ready, all that a result depends on: for every file its content, never its place.

        Raises ConfigError where a file is gone.
        """
        scheme = self.load_scheme()
        segmenter = None
        if self.segmenter is not None:
            segmenter = self.segmenter.model_dump(mode="json") | {"model": self.segmenter.model_hash()}
        return {
            **self.model_dump(mode="json", exclude={"scheme", "annotations", "segmenter"}),
            "scheme": scheme.name,
            "scheme_hash": scheme.content_hash,
            "annotations": [
                entry.model_dump(mode="json", exclude={"path", "pictures"})
                | {"files": source_hash(entry.source())}
                for entry in self.annotations
            ],
            "segmenter": segmenter,
        }
