"""The settings of the views: ``[views]`` names those to write, ``[views.NAME]`` has the options of one."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["HuggingfaceOptions", "ViewOptions", "ViewsConfig"]

RowsPerFile = Annotated[int, Field(ge=1, le=1_000_000)]


class ViewOptions(BaseModel):
    """What every view's options are: frozen, without unknown fields, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HuggingfaceOptions(ViewOptions):
    """[views.huggingface]."""

    rows_per_file: RowsPerFile = 1024
    """Readings in one Parquet file."""


class ViewsConfig(BaseModel):
    """[views]: a field for every view, named as the view is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = ()
    """Views that `gazecurate run` and `export` write, beside those that the dataset has."""
    huggingface: HuggingfaceOptions = HuggingfaceOptions()

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
