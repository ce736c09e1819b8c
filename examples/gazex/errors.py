"""What the trainer refuses, each with a code and what to do about it."""

from __future__ import annotations

__all__ = ["TrainerError"]


class TrainerError(Exception):
    """Something that the user can mend.

    ``code`` is stable (``GX-...``), ``hint`` says what to do. Messages name files, rows and fields, never patients.
    """

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.code, self.hint = message, code, hint

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]" + (f"\n{self.hint}" if self.hint else "")
