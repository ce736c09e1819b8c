"""Attributes of a radiograph that may leave the store, and the values that they may have there.

Source: DICOM PS3.3 C.7.3.1.1.1, C.7.6.1.1.1, C.8.7.1, C.8.11; PS3.16 annex L; PS3.6 annex A.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = [
    "KEPT_NUMBERS",
    "KEPT_TERMS",
    "MAMMOGRAPHY_VIEWS",
    "REGION_CODES",
    "SECONDARY_CAPTURE",
    "SOP_CLASSES",
    "UNKNOWN_VIEW",
]

KEPT_NUMBERS: Final = (
    "SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelSpacing", "ImagerPixelSpacing", "EstimatedRadiographicMagnificationFactor", "PixelAspectRatio",
    "RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth", "PixelIntensityRelationshipSign",
    "LossyImageCompressionRatio", "SmallestImagePixelValue", "LargestImagePixelValue",
)  # fmt: skip
"""Attributes carried over where they hold nothing but numbers."""

KEPT_TERMS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Modality": frozenset({"CR", "DX", "MG", "RG", "PX", "IO", "OT"}),
        "PresentationIntentType": frozenset({"FOR PRESENTATION", "FOR PROCESSING"}),
        "ViewPosition": frozenset({
            "AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LAO", "RAO", "LPO", "RPO", "CC", "MLO", "ML", "LM",
            "LMO", "XCCL", "XCCM", "SIO", "ISO", "FB", "AT", "LATERAL", "LAT",
        }),
        "PatientOrientation": frozenset({
            "A", "P", "R", "L", "H", "F", "AR", "AL", "PR", "PL", "HR", "HL", "FR", "FL", "AH", "AF", "PH", "PF",
        }),
        "ImageLaterality": frozenset({"R", "L", "U", "B"}),
        "BodyPartExamined": frozenset({
            "CHEST", "BREAST", "HIP", "KNEE", "HAND", "FOOT", "SKULL", "PELVIS", "ABDOMEN", "ANKLE", "ELBOW",
            "SHOULDER", "WRIST", "RIB", "CLAVICLE", "CSPINE", "TSPINE", "LSPINE", "SPINE", "STERNUM", "EXTREMITY",
            "LEG", "ARM", "HEAD", "NECK",
        }),
        "PhotometricInterpretation": frozenset({"MONOCHROME1", "MONOCHROME2"}),
        "PresentationLUTShape": frozenset({"IDENTITY", "INVERSE"}),
        "RescaleType": frozenset({"US", "OD", "HU", "Z_EFF", "ED", "HU_MOD", "PCT"}),
        "VOILUTFunction": frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"}),
        "PixelIntensityRelationship": frozenset({"LIN", "LOG", "DISP"}),
        "LossyImageCompression": frozenset({"00", "01"}),
        "LossyImageCompressionMethod": frozenset({
            "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_13818_2", "ISO_14496_10",
        }),
        "ModalityLUTType": frozenset({"US", "OD", "HU"}),
        "ImageType": frozenset({"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", ""}),
        "Laterality": frozenset({"R", "L"}),
        "ConversionType": frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"}),
        "PositionerType": frozenset({"CARM", "COLUMN", "MAMMOGRAPHIC", "PANORAMIC", "CEPHALOSTAT", "RIGID", "NONE"}),
        "DetectorType": frozenset({"DIRECT", "SCINTILLATOR", "STORAGE", "FILM"}),
        "OrganExposed": frozenset({"BREAST"}),
    }
)  # fmt: skip
"""Attributes carried over where their value is a term that the standard defines; any other value is somebody's text."""

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
SOP_CLASSES: Final = frozenset(
    {
        SECONDARY_CAPTURE,
        *(f"1.2.840.10008.5.1.4.1.1.1{tail}" for tail in ("", ".1", ".1.1", ".2", ".2.1", ".3", ".3.1")),
    }
)
"""Computed and digital radiography, mammography, intra-oral (for presentation, for processing), secondary capture."""

MAMMOGRAPHY_VIEWS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        name: (code, "SCT", meaning)
        for code, meaning, other_names in (
            ("399162004", "cranio-caudal", ("CC", "R-10242")),
            ("399368009", "medio-lateral oblique", ("MLO", "R-10226")),
            ("399260004", "medio-lateral", ("ML", "R-10224")),
            ("399352003", "latero-medial", ("LM", "R-10228")),
            ("399099002", "latero-medial oblique", ("LMO", "R-10230")),
            ("399196006", "caudo-cranial (from below)", ("FB", "R-10244")),
            ("399188001", "superolateral to inferomedial oblique", ("SIO", "R-102D0")),
            ("441555000", "inferomedial to superolateral oblique", ("ISO", "R-40AAA")),
            ("399192008", "cranio-caudal exaggerated laterally", ("XCCL", "R-1024A")),
            ("399101009", "cranio-caudal exaggerated medially", ("XCCM", "R-1024B")),
            ("127457009", "tissue specimen from breast", ("G-8310",)),
        )
        for name in (code, *other_names)
    }
)
"""By view position, or by the view's code (SNOMED CT, or the older SNOMED RT); PS3.16 CID 4014."""

UNKNOWN_VIEW: Final = ("261665006", "SCT", "Unknown")
"""Of a mammogram whose view is none of these: the class demands a code (type 1), and any view's would be a lie."""

REGION_CODES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        part: (code, "SCT", part.capitalize())
        for part, code in (
            ("CHEST", "816094009"),
            ("BREAST", "76752008"),
            ("KNEE", "72696002"),
            ("HAND", "85562004"),
            ("FOOT", "56459004"),
            ("SKULL", "89546000"),
            ("PELVIS", "816092008"),
            ("SHOULDER", "16982005"),
            ("CLAVICLE", "51299004"),
            ("STERNUM", "56873002"),
        )
    }
)
"""By body part examined; PS3.16 annex L. A part without a code here is left out where the class demands the code."""
