"""What every error is, and what it makes a command end with."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a command tells its caller; MIGRATIONS.md lists them."""

    SUCCESS = 0
    FINDINGS = 1
    USAGE = 2
    FAILED = 3
    CRASHED = 70
    INTERRUPTED = 130
    TERMINATED = 143


class DormatoryError(Exception):
    """An error with its reason and its remedy, said in one line."""

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(f"{what} ({why}); {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error pass from one process to another; of causes, only what a revision declares matters there."""
        cause = self.__cause__
        kept_cause = NotImplementedError(str(cause)) if isinstance(cause, NotImplementedError) else None
        return _restore_error, (type(self), self.args, self.__dict__, kept_cause)


def _restore_error(
    error_type: type[DormatoryError], args: Any, attributes: Any, cause: BaseException | None
) -> DormatoryError:
    error = error_type.__new__(error_type, *args)
    error.__dict__.update(attributes)
    error.__cause__ = cause
    return error
