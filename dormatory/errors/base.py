"""The base of all errors: what happened, why, and how to fix it."""

from __future__ import annotations

from typing import Any


class DormatoryError(Exception):
    """An error with its reason and its fix, in one line.

    `is_failure` is true where a database or a program could not be reached or failed, and false for wrong use or
    configuration: the exit code follows from it.
    """

    is_failure = False

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(f"{what} ({why}); {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error pass from one process to another; of causes, only what a revision declares matters there."""
        cause = self.__cause__
        kept_cause = NotImplementedError(str(cause)) if declares_no_way_back(cause) else None
        return _restore_error, (type(self), self.args, self.__dict__, kept_cause)


def _restore_error(
    error_type: type[DormatoryError], args: Any, attributes: Any, cause: BaseException | None
) -> DormatoryError:
    error = error_type.__new__(error_type, *args)
    error.__dict__.update(attributes)
    error.__cause__ = cause
    return error


def declares_no_way_back(cause: BaseException | None) -> bool:
    """Return whether an exception is the NotImplementedError of a revision; that of a library declares nothing."""
    if not isinstance(cause, NotImplementedError):
        return False
    innermost = cause.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    module = innermost.tb_frame.f_globals.get("__name__", "") if innermost else ""
    return module.partition(".")[0] not in {"alembic", "sqlalchemy"}
