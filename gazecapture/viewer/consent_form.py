"""What a reader is asked before the first reading, and what of it is on record already. No Qt.

The text here says what this toolkit does with a recording. A lab puts its own in its place (`[consent]` in the settings
of the room): what its ethics committee approved counts, not this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from gazecapture.session.consent import CONSENT_FILE, ConsentRecord, read_consent, write_consent
from keyframes.access import SCOPES, AccessTier, Scope
from keyframes.errors import UsageError

__all__ = [
    "CONSENT_TEXT", "CONSENT_VERSION", "SCOPE_SAYS", "TIER_SAYS", "ConsentForm", "is_enough", "record_on_file",
]  # fmt: skip

CONSENT_VERSION: Final = "gazecapture-1"
CONSENT_TEXT: Final = (
    "While you read, this station records where you look on the radiographs, when each of them is shown and how, and, "
    "if you allow it, what you say. The recordings are for research: to study how radiographs are read, and to train "
    "and test programs that read them.\n\n"
    "Your name is not kept, only a code. Taking part is your free choice, point by point, and says nothing about your "
    "work. You may withdraw at any time: tell the person in charge; what is still in this lab's store is then deleted, "
    "what was passed on is named to you."
)
SCOPE_SAYS: Final[Mapping[Scope, tuple[str, str]]] = MappingProxyType(
    {
        "gaze": ("Where I look", "and what is made of it. Without this nothing is recorded."),
        "audio": ("What I say", "as text, in what is passed on; the voice itself never leaves the lab."),
        "pupil": ("The size of my pupils", "as part of where I look."),
        "teaching": ("Teaching", "Trainees may see my reading beside their own."),
    }
)
TIER_SAYS: Final[Mapping[AccessTier, str]] = MappingProxyType(
    {
        "local-only": "nobody outside this lab",
        "credentialed": "people whom the films' owner has admitted",
        "consented": "people who have signed an agreement with this lab",
        "open": "anybody",
    }
)
"""From the strictest to the laxest."""
_NEED_GAZE: Final[tuple[Scope, ...]] = ("pupil", "teaching")
"""Of no use without gaze: they are part of it, or show it."""


@dataclass(slots=True)
class ConsentForm:
    """The form while it is filled in; nothing is agreed to beforehand.

    Parameters
    ----------
    version : of the text that the reader sees.
    """

    reader_code: str
    version: str = CONSENT_VERSION
    text: str = CONSENT_TEXT
    scopes: frozenset[Scope] = frozenset()
    tier: AccessTier = "local-only"

    def toggle(self, scope: Scope) -> None:
        """Agree to one thing, or no longer; what needs the gaze goes with it."""
        chosen = self.scopes ^ {scope}
        if scope in _NEED_GAZE and scope in chosen:
            chosen |= {"gaze"}
        self.scopes = chosen if "gaze" in chosen else chosen - set(_NEED_GAZE)

    def step_tier(self, direction: int) -> None:
        """Choose the next laxer or the next stricter tier; at the ends nothing changes."""
        tiers = list(TIER_SAYS)
        self.tier = tiers[min(max(tiers.index(self.tier) + direction, 0), len(tiers) - 1)]

    @property
    def may_begin(self) -> bool:
        """Say whether a reading may be recorded by this."""
        return "gaze" in self.scopes

    def record(self) -> ConsentRecord:
        """Return the record of it, given now. Raises UsageError where nothing may be recorded by it."""
        if not self.may_begin:
            raise UsageError("without consent to gaze nothing is recorded", code="GT-CONSENT")
        chosen = [scope for scope in SCOPES if scope in self.scopes]
        return ConsentRecord.given_now(
            self.reader_code, version=self.version, scopes=chosen, sharing_tier=self.tier
        )


def is_enough(record: ConsentRecord | None, version: str) -> bool:
    """Say whether a reading may begin without asking: the reader agreed to this version, and to gaze."""
    return record is not None and record.version == version and "gaze" in record.scopes


def record_on_file(session: Path, reader_code: str, *, beside: bool) -> ConsentRecord | None:
    """Return the reader's newest record: of this session, else (``beside``) of the sessions in the same folder.

    One of another session is written into this one. A record of a program says nothing of a person. Raises SchemaError
    where this session's own is damaged; others' are passed over.
    """
    own = read_consent(session)
    if own is not None or not beside:
        return own
    found = []
    for path in sorted(session.absolute().parent.glob(f"*/{CONSENT_FILE}")):
        with contextlib.suppress(OSError, ValidationError):
            record = ConsentRecord.model_validate_json(path.read_bytes())
            if record.reader_code == reader_code and not record.simulated:
                found.append(record)
    newest = max(found, key=lambda record: record.time, default=None)
    if newest is not None:
        write_consent(session, newest)
    return newest
