"""What operators work with.

Online: new tables, and columns that may be empty or have a default of the server.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Debits that somebody halted for a provider or for a merchant.
    op.create_table(
        "stop_switches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_to", sa.Text(), server_default="", nullable=False),
        sa.Column("told", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    in_force = sa.text("lifted_at is null")
    op.create_index(
        "stop_switches_in_force", "stop_switches", ["scope", "name", "livemode"], unique=True, postgresql_where=in_force
    )
    op.create_index("stop_switches_untold", "stop_switches", ["id"], postgresql_where=sa.text("not told"))

    # What the background audit found, and how far it has come.
    op.create_table(
        "audit_findings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("invariant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("invariant", "subject"),
    )
    unresolved = sa.text("resolved_at is null")
    op.create_index("audit_findings_open", "audit_findings", ["invariant", "found_at"], postgresql_where=unresolved)
    op.create_index("audit_findings_of_agreement", "audit_findings", ["agreement_id"])
    op.create_table(
        "audit_marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reached", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
