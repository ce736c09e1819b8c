"""The options by which a consent is recorded, the same for a session and for a store."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from keyframes.access import ACCESS_TIERS, SCOPES
from keyframes.errors import UsageError

if TYPE_CHECKING:
    from gazecapture.session.consent import ConsentRecord

__all__ = ["Agreed", "consent_options"]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What a reader agreed to, as it was given on the command line."""

    version: str | None
    scopes: tuple[str, ...]
    tier: str
    withdraw: bool

    def __post_init__(self) -> None:
        if self.withdraw and self.scopes:
            raise UsageError("--withdraw and --scope exclude each other")
        if self.version is not None and not self.is_said:
            raise UsageError("--version goes with --scope or --withdraw")

    @property
    def is_said(self) -> bool:
        """Say whether there is anything to record; else what is on record is to be shown."""
        return self.withdraw or bool(self.scopes)

    def record(self, reader_code: str, before: ConsentRecord | None) -> ConsentRecord:
        """Return the record, of this moment. Without a version it is of the text that the reader agreed to before.

        Raises UsageError where that is none.
        """
        from gazecapture.session.consent import ConsentRecord

        version = self.version or (before.version if before is not None else None)
        if version is None:
            raise UsageError("--version is needed: which text did the reader agree to?")
        return ConsentRecord.given_now(
            reader_code, version=version, scopes=self.scopes, sharing_tier=self.tier
        )


def consent_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give a command the options, and their values as one keyword argument ``agreed`` (`Agreed`)."""

    @click.option("--version", metavar="TEXT", help="Of the text that the reader agreed to.")
    @click.option(
        "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be given several times."
    )
    @click.option(
        "--tier",
        type=click.Choice(ACCESS_TIERS),
        default="local-only",
        show_default=True,
        help="The laxest tier of a dataset that the readings may be in.",
    )
    @click.option("--withdraw", is_flag=True, help="The reader agrees to nothing any more.")
    @functools.wraps(command)
    def with_agreed(
        *, version: str | None, scopes: tuple[str, ...], tier: str, withdraw: bool, **others: object
    ) -> _Result:
        agreed = Agreed(version=version, scopes=scopes, tier=tier, withdraw=withdraw)
        return command(agreed=agreed, **others)

    return with_agreed
