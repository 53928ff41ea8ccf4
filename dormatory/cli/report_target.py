"""Where the report of a check goes: in which format, and into which file; it gets an error that ends the check, too."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """A format and a file, "" for standard output; a text there shows all findings in full if `is_verbose`."""

    format_name: str
    output: str
    is_verbose: bool = False

    @classmethod
    def of(cls, format_name: str, output: str, *, verbose: bool) -> ReportTarget:
        """Return the target that the options of a task name; raises UnknownFormatError."""
        from dormatory.report.formats import chosen_format

        return cls(chosen_format(format_name), output, verbose)

    @property
    def is_readable(self) -> bool:
        """Whether standard output gets text for people."""
        from dormatory.report.formats import chosen_format

        return (chosen_format("") if self.output else self.format_name) == "text"

    def write(self, outcome: Outcome) -> None:
        """Write an outcome; raises UnwritableFileError."""
        from dormatory.report.formats import write_report

        file = Path(self.output).absolute() if self.output else None
        write_report(outcome, self.format_name, file, verbose=self.is_verbose)

    @contextmanager
    def write_error(self) -> Iterator[None]:
        """Write an error that ends the block, unless standard error says all of it, and pass it on."""
        from dormatory.errors import DormatoryError

        try:
            yield
        except DormatoryError as error:
            if self.format_name != "text" or self.output:
                from dormatory.checks.outcome import Outcome

                self.write(Outcome.ended_by(error))
            raise
