"""Random DICOM headers with a marker in their attributes, private ones too, at any depth."""

from __future__ import annotations

from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

__all__ = ["CANARY", "planted"]

CANARY = "QZXWVK"
TEXTS = st.sampled_from(
    ["PatientComments", "ImageComments", "StudyDescription", "InstitutionName", "OperatorsName", "CodeMeaning",
     "CodeValue", "RequestedProcedureDescription", "ViewPosition", "BodyPartExamined", "ImageType", "Laterality",
     "Manufacturer", "FilterMaterial", "LUTExplanation", "WindowCenterWidthExplanation", "RescaleType", "Modality"]
)  # fmt: skip
SEQUENCES = st.sampled_from(
    ["RequestAttributesSequence", "ViewCodeSequence", "AnatomicRegionSequence", "OriginalAttributesSequence",
     "ReferencedStudySequence", "DeidentificationMethodCodeSequence", "ModalityLUTSequence", "VOILUTSequence"]
)  # fmt: skip


@st.composite
def planted(draw: st.DrawFn, depth: int = 3) -> Dataset:
    """Give a data set with the marker in some attributes, private ones too, and in nested ones."""
    data = Dataset()
    for keyword in draw(st.lists(TEXTS, min_size=1, max_size=5, unique=True)):
        setattr(data, keyword, [CANARY, CANARY] if keyword == "ImageType" else CANARY)
    if draw(st.booleans()):
        group = draw(st.sampled_from([0x0009, 0x0019, 0x2001, 0x6001]))
        data.private_block(group, CANARY, create=True).add_new(draw(st.integers(1, 254)), "LT", CANARY)
    if draw(st.booleans()):
        data.add_new(0x60000022 + 0x20000 * draw(st.integers(0, 15)), "LO", CANARY)
    if depth:
        for keyword in draw(st.lists(SEQUENCES, max_size=2, unique=True)):
            items = [draw(planted(depth - 1)) for _ in range(draw(st.integers(1, 2)))]
            setattr(data, keyword, Sequence(items))
    return data
