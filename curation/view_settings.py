"""The settings of the views: ``[views]`` names those to write, ``[views.NAME]`` has the options of one."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curation.export.box_frames import BoxFrame, ResizeLimits

__all__ = [
    "BidsOptions",
    "GazesearchOptions",
    "HuggingfaceOptions",
    "PymovementsOptions",
    "ReflacxOptions",
    "TaskName",
    "TaskOptions",
    "ViewOptions",
    "ViewsConfig",
]

Title = Annotated[str, Field(min_length=1, max_length=120)]
RowsPerFile = Annotated[int, Field(ge=1, le=1_000_000)]


class ViewOptions(BaseModel):
    """What every view's options are: frozen, without unknown fields, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


TaskName = Literal[
    "report_from_gaze", "report_from_image", "finding_from_clip", "boxes_from_sentence", "global_order",
    "finding_order", "grounded_report", "vqa",
]  # fmt: skip


class TaskOptions(ViewOptions):
    """What the examples of `curation.export.tasks` are made by."""

    tasks: tuple[TaskName, ...] = get_args(TaskName)
    template: Literal["v1", "published"] = "v1"
    """Wording of prompts and answers. published: that of the GazeX scripts, with its quirks."""
    images: Literal["first_current", "all"] = "first_current"
    """Which pictures of a study are shown."""
    box_frame: BoxFrame = "norm1000"
    """In which numbers boxes are told: norm1000 for Qwen2-VL and Qwen3-VL, resized for Qwen2.5-VL, quarter for GazeX
    (pictures are shown at a quarter of the matrix then), pixels of the picture as it is."""
    resize_factor: Annotated[int, Field(ge=1, le=256)] = ResizeLimits().factor
    resize_min_pixels: Annotated[int, Field(ge=1)] = ResizeLimits().min_pixels
    resize_max_pixels: Annotated[int, Field(ge=1)] = ResizeLimits().max_pixels
    """Of the processor, for ``resized``; must be what the training is run with."""
    with_indication: bool = True
    """Tell why the study was made, where a reading knows."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the shuffled sequences and of the regions asked for."""
    n_shuffles: Annotated[int, Field(ge=1, le=100)] = 1
    """Shuffled sequences of each clip."""

    @property
    def resize_limits(self) -> ResizeLimits:
        """The processor's limits."""
        return ResizeLimits(
            factor=self.resize_factor, min_pixels=self.resize_min_pixels, max_pixels=self.resize_max_pixels
        )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ValueError("tasks must name at least one task, each once")
        if self.template == "published" and self.images != "first_current":
            raise ValueError("template published has one picture: images must be first_current")
        if self.resize_min_pixels > self.resize_max_pixels:
            raise ValueError("resize_min_pixels must not exceed resize_max_pixels")
        return self


class HuggingfaceOptions(TaskOptions):
    """[views.huggingface]."""

    rows_per_file: RowsPerFile = 1024
    """Readings in one Parquet file."""


class LlamafactoryOptions(TaskOptions):
    """[views.llamafactory]."""

    rows_per_file: RowsPerFile = 8192


class TrlOptions(TaskOptions):
    """[views.trl]."""

    rows_per_file: RowsPerFile = 8192


class SwiftOptions(TaskOptions):
    """[views.swift]. Boxes are px of the picture, which ms-swift turns into what the model wants."""

    rows_per_file: RowsPerFile = 8192
    box_frame: Literal["pixels"] = "pixels"


class AuthorsOptions(TaskOptions):
    """[views.authors]: what the GazeX authors' training reads."""

    tasks: tuple[TaskName, ...] = get_args(TaskName)[:6]
    template: Literal["v1", "published"] = "published"
    box_frame: BoxFrame = "quarter"
    codec: Literal["ffv1", "h264", "mpeg4"] = "ffv1"
    """ffv1 and h264 (RGB) are lossless; h264 takes three times the room but plays anywhere. mpeg4, which the published
    scripts wrote, is off by up to some tens of grey levels."""


class GazesearchOptions(ViewOptions):
    """[views.gazesearch]."""

    frame: Literal["grid224", "matrix"] = "grid224"
    """Of X, Y and bbox. grid224: a grid of 224 x 224 over the picture, as GazeSearch has it. matrix: px of the stored
    picture."""


class PymovementsOptions(ViewOptions):
    """[views.pymovements]."""

    title: Title = "Gaze of readers of radiographs"


class BidsOptions(ViewOptions):
    """[views.bids]."""

    title: Title = "Gaze of readers of radiographs"
    task: Annotated[str, Field(pattern=r"^[a-zA-Z0-9]{1,32}$")] = "reading"
    """Label of the task in file names."""


class ReflacxOptions(ViewOptions):
    """[views.reflacx]: none."""


class ViewsConfig(BaseModel):
    """[views]: a field for every view, named as the view is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = ()
    """Views that `gazecurate run` and `export` write, beside those that the dataset has."""
    authors: AuthorsOptions = AuthorsOptions()
    huggingface: HuggingfaceOptions = HuggingfaceOptions()
    llamafactory: LlamafactoryOptions = LlamafactoryOptions()
    swift: SwiftOptions = SwiftOptions()
    trl: TrlOptions = TrlOptions()
    bids: BidsOptions = BidsOptions()
    gazesearch: GazesearchOptions = GazesearchOptions()
    pymovements: PymovementsOptions = PymovementsOptions()
    reflacx: ReflacxOptions = ReflacxOptions()

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = self.known_views()
        for name in self.names:
            if name not in known:
                raise ValueError(f"names: no view is called {name!r} (there are: {', '.join(known)})")
        return self

    @classmethod
    def known_views(cls) -> tuple[str, ...]:
        """Return the names of all views, in order."""
        return tuple(name for name in cls.model_fields if name != "names")

    def options_of(self, name: str) -> ViewOptions:
        """Return the options of one view."""
        options = getattr(self, name)
        assert isinstance(options, ViewOptions)  # noqa: S101  # holds for every field but ``names``
        return options
