<%
    title = message.strip().rstrip(".").replace("\\", "\\\\").replace(chr(34) * 3, chr(39) * 3)

    def quoted(value):
        return repr(value).replace(chr(39), chr(34))
%>"""${title}.

Revision ID: ${up_revision}
Revises:${" " if down_revision else ""}${down_revision | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports + "\n" if imports else ""}
revision: str = ${quoted(up_revision)}
down_revision: str | tuple[str, ...] | None = ${quoted(down_revision)}
% if branch_labels:
branch_labels: str | tuple[str, ...] | None = ${quoted(branch_labels)}
% endif
% if depends_on:
depends_on: str | tuple[str, ...] | None = ${quoted(depends_on)}
% endif

# Where something is lost, say what in `lossy`, a string in this place, and in the downgrade's docstring.


def upgrade() -> None:
    """${title}."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take it back; what was stored in what the upgrade added is lost."""
    ${downgrades if downgrades else "pass"}
