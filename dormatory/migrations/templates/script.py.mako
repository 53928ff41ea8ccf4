<%
    title = message.strip().rstrip(".")
%>"""${title}.

Revision ID: ${up_revision}
Revises:${" " if down_revision else ""}${down_revision | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
${imports + "\n" if imports else ""}from alembic import op

revision: str = ${repr(up_revision)}
down_revision: str | tuple[str, ...] | None = ${repr(down_revision)}
% if branch_labels:
branch_labels: str | tuple[str, ...] | None = ${repr(branch_labels)}
% endif
% if depends_on:
depends_on: str | tuple[str, ...] | None = ${repr(depends_on)}
% endif

# Where something is lost, say what in `lossy`, a string in this place, and in the downgrade's docstring.


def upgrade() -> None:
    """${title}."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take it back; nothing is lost."""
    ${downgrades if downgrades else "pass"}
