from __future__ import annotations

import inspect

import pytest

from keyframes import errors
from keyframes.errors import DataError, DiskFullError, ExitCode, GazeToolError, PrivacyError, UsageError


def test_all_is_every_public_name() -> None:
    public = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__ and not name.startswith("_")
    ]
    assert sorted(errors.__all__) == sorted(public)


def test_the_documented_tree_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        if issubclass(value := getattr(errors, name), GazeToolError):
            assert value.__name__ in errors.__doc__


def test_one_line_has_place_hint_and_code() -> None:
    error = DataError("column 'x': expected float, found text", hint="Look at it.", path="a/b.csv", record=7)
    assert error.one_line() == "a/b.csv: column 'x': expected float, found text [7]. Look at it. (GT-DATA)"
    assert "\n" not in GazeToolError("two\nlines").one_line()


@pytest.mark.parametrize(
    ("error", "builtin", "code"),
    [
        (UsageError("x"), ValueError, ExitCode.USAGE),
        (DataError("x"), ValueError, ExitCode.INTERNAL),
        (DiskFullError("x"), OSError, ExitCode.INTERNAL),
        (PrivacyError("x"), GazeToolError, ExitCode.PRIVACY),
    ],
)
def test_errors_are_also_what_a_caller_would_catch(
    error: GazeToolError, builtin: type[Exception], code: ExitCode
) -> None:
    assert isinstance(error, builtin)
    assert error.exit_code == code
    assert str(error) == "x"


def test_a_line_leaves_dots_as_they_are() -> None:
    error = DataError("../in/x..y is off.", hint="Run `tool ... --out DIR`.")
    assert error.one_line() == "../in/x..y is off. Run `tool ... --out DIR`. (GT-DATA)"
