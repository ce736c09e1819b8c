"""What the terms of published datasets allow: one table, for the ingesters of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypedDict

from gazecapture.session.consent import Scope
from keyframes.access import AccessTier

__all__ = [
    "CONSENT_SOURCE",
    "LICENCES",
    "SOURCE_FORMATS",
    "TERMS",
    "DatasetTerms",
    "TermsOfReading",
    "has_no_gaze",
]

CONSENT_SOURCE: Final = "consent_source"
"""Key of `ReadingMeta.provenance`: by what the reading's scopes are allowed."""
_CREDENTIALED: Final = "PhysioNet Credentialed Health Data License 1.5.0"
_RESTRICTED: Final = "PhysioNet Restricted Health Data License 1.5.0"
_MIMIC_CXR: Final = (
    "Johnson AEW, Pollard TJ, Berkowitz SJ, et al. MIMIC-CXR, a de-identified publicly available database of chest "
    "radiographs with free-text reports. Sci Data 6, 317 (2019)."
)
_REFLACX: Final = (
    "Bigolin Lanfredi R, Zhang M, Auffermann WF, et al. REFLACX, a dataset of reports and eye-tracking data for "
    "localization of abnormalities in chest x-rays. Sci Data 9, 350 (2022)."
)
_EGD: Final = (
    "Karargyris A, Kashyap S, Lourentzou I, et al. Creation and validation of a chest X-ray dataset with eye-tracking "
    "and report dictation for AI development. Sci Data 8, 92 (2021)."
)


class TermsOfReading(TypedDict):
    """Arguments of `ReadingMeta`."""

    consent_scopes: tuple[str, ...]
    source_licence: str
    access_tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTerms:
    """What a published dataset may be used for."""

    name: str
    scopes: tuple[Scope, ...]
    """What it publishes of its readers. ``audio`` stands for the words; no ingester reads a voice."""
    licence: str
    access_tier: AccessTier
    source: str
    """Where the terms are."""
    citations: tuple[str, ...]

    @property
    def of_reading(self) -> TermsOfReading:
        """What each reading of the dataset says of its licence: ``ReadingMeta(..., **terms.of_reading)``."""
        return {
            "consent_scopes": self.scopes,
            "source_licence": self.licence,
            "access_tier": self.access_tier,
        }

    @property
    def provenance(self) -> dict[str, str]:
        """What each reading says of the source of its scopes, for `ReadingMeta.provenance`."""
        return {CONSENT_SOURCE: self.source}


TERMS: Final[Mapping[str, DatasetTerms]] = MappingProxyType(
    {
        "reflacx": DatasetTerms(
            name="REFLACX 1.0.0",
            scopes=("gaze", "audio", "pupil"),
            licence=_CREDENTIALED,
            access_tier="credentialed",
            source="terms of REFLACX 1.0.0, PhysioNet",
            citations=(_REFLACX, _MIMIC_CXR),
        ),
        "egd": DatasetTerms(
            name="EGD-CXR 1.0.0",
            scopes=("gaze", "audio", "pupil"),
            licence=_CREDENTIALED,
            access_tier="credentialed",
            source="terms of EGD-CXR 1.0.0, PhysioNet",
            citations=(_EGD, _MIMIC_CXR),
        ),
        "mimic-eye": DatasetTerms(
            name="MIMIC-Eye 1.0.0",
            scopes=("gaze", "audio", "pupil"),
            licence=_RESTRICTED,
            access_tier="credentialed",
            source="terms of MIMIC-Eye 1.0.0, PhysioNet",
            citations=(
                "Hsieh C, Ouyang C, Nascimento JC, Pereira J, Jorge J, Moreira C. MIMIC-Eye: Integrating MIMIC "
                "datasets with REFLACX and Eye Gaze for multimodal deep learning applications, version 1.0.0. "
                "PhysioNet (2023).",
                _REFLACX,
                _EGD,
                _MIMIC_CXR,
            ),
        ),
        "mimic-cxr": DatasetTerms(
            name="MIMIC-CXR 2.1.0",
            scopes=("audio",),
            licence=_CREDENTIALED,
            access_tier="credentialed",
            source="terms of MIMIC-CXR 2.1.0, PhysioNet",
            citations=(_MIMIC_CXR,),
        ),
        "ms-cxr": DatasetTerms(
            name="MS-CXR 1.1.0",
            scopes=("audio",),
            licence=_CREDENTIALED,
            access_tier="credentialed",
            source="terms of MS-CXR 1.1.0, PhysioNet",
            citations=(
                "Boecking B, Usuyama N, Bannur S, et al. Making the most of text semantics to improve biomedical "
                "vision-language processing. ECCV 2022, 1-21.",
                _MIMIC_CXR,
            ),
        ),
        "mimic-cxr-vqa": DatasetTerms(
            name="MIMIC-CXR-VQA 1.0.0",
            scopes=("audio",),
            licence=_CREDENTIALED,
            access_tier="credentialed",
            source="terms of MIMIC-CXR-VQA 1.0.0, PhysioNet",
            citations=(
                "Bae S, Kyung D, Ryu J, et al. EHRXQA: a multi-modal question answering dataset for electronic "
                "health records with chest X-ray images. NeurIPS 2023, datasets and benchmarks.",
                _MIMIC_CXR,
            ),
        ),
    }
)
"""By source format. A format that is not here is a lab's own: its readings need their reader's consent."""

LICENCES: Final = frozenset(
    {
        *(terms.licence for terms in TERMS.values()),
        "Apache-2.0",
        "CC0 1.0",
        *(f"CC {kind} 4.0" for kind in ("BY", "BY-SA", "BY-NC", "BY-NC-SA", "BY-ND", "BY-NC-ND")),
    }
)
"""Names of licences that leave the store as they are; another one is a text like any other."""


SOURCE_FORMATS: Final = frozenset({*TERMS, "session", "xdf", "bids", "eyelink-asc", "tobii-tsv", "neon"})
"""Every format that a reading may come from, as rows name it."""


def has_no_gaze(source_format: str) -> bool:
    """Say whether a format is of a published dataset in which no eye was followed."""
    terms = TERMS.get(source_format)
    return terms is not None and "gaze" not in terms.scopes
