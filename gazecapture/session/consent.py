"""What a reader agreed to: ``SESSION/consent.json``, one record, replaced when it changes.

Ingest copies it into the store, where the newest record of a reader counts (`curation.consent`). Whoever asks the
reader (the viewer's screen, a command, a form on paper) makes a `ConsentRecord` and calls `write_consent`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from gazecapture.files import write_json_atomically
from gazecapture.session.schema import read_session_info
from keyframes.access import SCOPES, AccessTier, Scope
from keyframes.errors import SchemaError, UsageError

__all__ = [
    "CONSENT_FILE",
    "SCOPES",
    "SIMULATED_READER",
    "ConsentRecord",
    "Scope",
    "has_refused",
    "may_record_speech",
    "may_still_record_speech",
    "read_consent",
    "write_consent",
]

CONSENT_FILE = "consent.json"
SIMULATED_VERSION = "simulated"
SIMULATED_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Fixed, so that the same seed gives the same bytes."""
SIMULATED_READER: Final[Mapping[str, str]] = MappingProxyType({"reader": "simulated"})
"""In the provenance of a reading whose reader is a program: only there does a simulated record count."""


class ConsentRecord(BaseModel):
    """What one reader agreed to, and when. No scope at all is a withdrawal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reader_code: Annotated[str, Field(min_length=1, max_length=64)]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    """Of the text that the reader agreed to."""
    time: AwareDatetime
    """When; the newest record of a reader counts, whenever it comes into the store."""
    scopes: tuple[Scope, ...]
    """Each once, in the order of `SCOPES`."""
    sharing_tier: AccessTier = "local-only"
    """The laxest tier of a dataset that the reading may be in."""
    simulated: bool = False
    """The reader is a program."""

    @field_validator("scopes")
    @classmethod
    def _in_order(cls, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        return tuple(scope for scope in SCOPES if scope in scopes)

    @classmethod
    def given_now(cls, reader_code: str, *, version: str, scopes: Iterable[str], sharing_tier: str) -> Self:
        """Return the record of a consent that is given at this moment. Raises UsageError where a value is none."""
        try:
            return cls.model_validate(
                {
                    "reader_code": reader_code,
                    "version": version,
                    "time": datetime.now(UTC),
                    "scopes": tuple(scopes),
                    "sharing_tier": sharing_tier,
                }
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise UsageError(f"{first['loc'][0]}: {first['msg']}", code="GT-CONSENT") from None

    @classmethod
    def of_simulated_reader(cls, reader_code: str) -> Self:
        """Return the record of a reader that is a program: everything is allowed, and it says what it is."""
        return cls(
            reader_code=reader_code,
            version=SIMULATED_VERSION,
            time=SIMULATED_TIME,
            scopes=SCOPES,
            sharing_tier="open",
            simulated=True,
        )

    def one_line(self) -> str:
        """Return the record in words."""
        allowed = ", ".join(self.scopes) or "nothing (withdrawn)"
        who = f"{self.reader_code} (simulated)" if self.simulated else self.reader_code
        return (
            f"{who}: {allowed}; tier {self.sharing_tier}; text {self.version}; {self.time.date().isoformat()}"
        )


def read_consent(session: Path) -> ConsentRecord | None:
    """Return the session's record; None where nobody was asked.

    Raises SchemaError where it is damaged, or speaks of another reader than the session.
    """
    path = session / CONSENT_FILE
    try:
        record = ConsentRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise SchemaError(
            f"field {place!r}: {first['msg']}", path=path, hint=_HINT, code="GT-CONSENT"
        ) from None
    if record.reader_code != read_session_info(session).reader_code:
        raise SchemaError(
            "the consent is another reader's than the session", path=path, hint=_HINT, code="GT-CONSENT"
        )
    return record


def has_refused(session: Path) -> bool:
    """Say whether the reader was asked and does not agree that gaze is recorded, or any more: then nothing may be.

    Raises SchemaError as `read_consent` does.
    """
    record = read_consent(session)
    return record is not None and "gaze" not in record.scopes


def may_record_speech(session: Path) -> bool:
    """Say whether what is said may be recorded: not where the reader was asked and did not agree to it.

    Where nobody was asked here (consent on paper) it may; nothing of that is exported before a record says so. Raises
    SchemaError as `read_consent` does.
    """
    record = read_consent(session)
    return record is None or "audio" in record.scopes


def may_still_record_speech(session: Path) -> bool:
    """Say the same in the midst of a recording: not, too, where the record cannot be read at this moment."""
    try:
        return may_record_speech(session)
    except (OSError, SchemaError):
        return False


def write_consent(session: Path, record: ConsentRecord) -> None:
    """Write the session's record, in place of an older one, atomically.

    Raises UsageError where it is not of the session's reader; SchemaError where the folder is no session.
    """
    expected = read_session_info(session).reader_code
    if record.reader_code != expected:
        raise UsageError(
            "the consent is of another reader than the session",
            hint="Leave --reader out to take the session's own.",
            path=session,
            code="GT-CONSENT",
        )
    write_json_atomically(session / CONSENT_FILE, record.model_dump(mode="json"))


_HINT = "Ask the reader again: `gazecapture consent --session DIR ...`."
