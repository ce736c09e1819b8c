"""From a device to finished readings on disk: sources, recorder, viewer, store."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gazecapture")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
