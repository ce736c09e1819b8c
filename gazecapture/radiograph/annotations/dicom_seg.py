"""DICOM Segmentation objects (PS3.3 A.51), read and written with highdicom; overlapping segments are kept."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from gazecapture import __version__
from gazecapture.files import write_bytes_atomically
from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.source import AnnotationSource, annotation_error, files_by_stem
from gazecapture.radiograph.film import Film
from keyframes.errors import ConfigError, GazeToolError, ImageError
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["DicomSegmentations", "write_dicom_seg"]

CONFIDENCE = 0.9
"""Somebody's contours, of unknown care."""
MAX_SEGMENTS = 1_000
NO_THICKNESS_MM = 1.0
"""A projection has none, but highdicom reads no segmentation without one."""
SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
CODING_SCHEME = "99GAZECAPTURE"
"""Designator of our region names (PS3.16 section 8: private ones begin with 99)."""
DEFORMABLE_MODELS = "123111", "DCM", "Deformable Models"
ARTIFICIAL_INTELLIGENCE = "123110", "DCM", "Artificial Intelligence"
"""Of context group 7162, families of algorithms."""


class DicomSegmentations:
    """A segmentation file or a folder of them (``.dcm``), each found by the SOP Instance UIDs that it refers to.

    Segments are regions by their label; several of one label are one region. Fractions count from one half.
    """

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        self._hd = _highdicom(source.path)
        self._files: defaultdict[str, list[Path]] = defaultdict(list)
        for path in sorted(files_by_stem(source, ".dcm").values()):
            for uid in sorted(_referenced(path)):
                self._files[uid].append(path)

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        uid = next((name for name in sorted(film.names) if name in self._files), None)
        if uid is None:
            return None
        regions: dict[str, Region] = {}
        for path in self._files[uid]:
            for name, region in self._regions(film, uid, path):
                if name in regions:
                    annotation_error(f"region {name!r} is in two segmentations of one picture", path)
                regions[name] = region
        return imported_map(self._source, film, regions, confidence=CONFIDENCE)

    def _regions(self, film: Film, uid: str, path: Path) -> Iterator[tuple[str, Region]]:
        """Yield the regions of one file."""
        try:
            found = self._hd.seg.segread(path)
            labels = {
                int(n): str(found.get_segment_description(n).segment_label) for n in found.segment_numbers
            }
            frame = Frame.equal(film, int(found.Columns), int(found.Rows), path)
            if len(labels) > MAX_SEGMENTS:
                annotation_error(f"it has {len(labels)} segments, at most {MAX_SEGMENTS} are read", path)
            numbers: defaultdict[str, list[int]] = defaultdict(list)
            for number, label in labels.items():
                numbers[self._source.region_name(label)].append(number)
            for name, segments in numbers.items():
                # An absent frame is an empty one: writers leave them out.
                pixels = found.get_pixels_by_source_instance(
                    [uid],
                    segment_numbers=segments,
                    ignore_spatial_locations=True,
                    assert_missing_frames_are_empty=True,
                )
                region = frame.mask(name, np.any(pixels[0] >= 0.5, axis=-1).astype(np.bool_, copy=False))
                if region is not None:
                    yield name, region
        except GazeToolError:
            raise
        except Exception as error:  # a damaged file fails in any of the library's ways
            annotation_error(f"it is no readable segmentation ({type(error).__name__})", path)


def write_dicom_seg(region_map: RegionMap, picture: Path, out: Path) -> None:
    """Write a region map as a binary DICOM Segmentation of the picture that it belongs to.

    picture : the DICOM file. Patient and study attributes are copied from it: the file is as identifying as that one.
    Raises ConfigError where highdicom is not installed, ImageError where ``picture`` is not the map's DICOM picture.
    """
    hd = _highdicom(out)
    try:
        header = pydicom.dcmread(picture, stop_before_pixels=True)
        size = int(header.Columns), int(header.Rows)
    except (OSError, InvalidDicomError, AttributeError, ValueError) as error:
        raise ImageError("it is no DICOM picture", path=picture) from error
    if size != (region_map.width_px, region_map.height_px) or not region_map.regions:
        raise ImageError(
            f"it has {size[0]} x {size[1]} px, the map of {len(region_map.regions)} regions "
            f"{region_map.width_px} x {region_map.height_px}",
            path=picture,
        )
    for required in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyID",
    ):
        if required not in header:  # may be empty, but not absent (PS3.3 C.7.1.1)
            setattr(header, required, "")
    for required in ("StudyDate", "StudyTime"):
        if required not in header:
            setattr(header, required, None)
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    if spacing is None or min(map(float, spacing)) <= 0:
        spacing = [1.0, 1.0]  # required by the object, not by its readers
    masks = [region.on_grid(width_px=size[0], height_px=size[1]) for region in region_map.regions.values()]
    segmentation = hd.seg.Segmentation(
        source_images=[header],
        pixel_array=np.stack(masks, axis=-1)[np.newaxis],
        segmentation_type="BINARY",
        segment_descriptions=[
            _description(hd, number, name, region_map.provider_of(name))
            for number, name in enumerate(region_map.regions, start=1)
        ],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="gazecapture",
        manufacturer_model_name="gazecapture",
        software_versions=__version__,
        device_serial_number="0",
        content_label="REGIONS",
        pixel_measures=hd.PixelMeasuresSequence(
            pixel_spacing=[float(value) for value in spacing], slice_thickness=NO_THICKNESS_MM
        ),
        omit_empty_frames=False,
    )
    segmentation.PatientOrientation = header.get("PatientOrientation", "")  # type 2C of the general image
    content = io.BytesIO()
    segmentation.save_as(content)
    write_bytes_atomically(out, content.getvalue())


def _description(hd: ModuleType, number: int, name: str, provider: str) -> Any:
    """Return what is said of one segment."""
    from pydicom.sr.coding import Code  # only here: its tables take half as long to import as pydicom

    by_person = provider in {"manual", "truth"}
    algorithm = None
    if not by_person:
        algorithm = hd.AlgorithmIdentificationSequence(
            name=f"gazecapture {provider}",
            family=Code(*(DEFORMABLE_MODELS if provider == "atlas" else ARTIFICIAL_INTELLIGENCE)),
            version=__version__,
        )
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=Code("123037004", "SCT", "Anatomical Structure"),
        segmented_property_type=Code(hashlib.sha256(name.encode()).hexdigest()[:16], CODING_SCHEME, name),
        algorithm_type="MANUAL" if by_person else "AUTOMATIC",
        algorithm_identification=algorithm,
    )


def _referenced(path: Path) -> set[str]:
    """Return the SOP Instance UIDs that a segmentation was drawn on."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if header.get("SOPClassUID") not in {SEGMENTATION_STORAGE, LABEL_MAP_STORAGE}:
            annotation_error("it is no DICOM segmentation", path)
        return {
            str(element.value)
            for element in header.iterall()
            if element.keyword == "ReferencedSOPInstanceUID" and element.value
        }
    except GazeToolError:
        raise
    except (OSError, InvalidDicomError, AttributeError, ValueError, TypeError, RecursionError):
        annotation_error("it is no readable DICOM file", path)


def _highdicom(path: Path) -> ModuleType:
    """Return highdicom, which is an extra. Raises ConfigError where it is not installed."""
    try:
        import highdicom
    except ImportError:
        raise ConfigError(
            "DICOM segmentations need highdicom, which is not installed",
            path=path,
            hint="Install the extra `segment`: pip install 'gazecapture[segment]'.",
        ) from None
    return highdicom
