"""The collection engine: amounts set cycle by cycle, policies of an agreement's own, refunds asked for by merchants

Online: every new column may be empty or has a default of the server.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The card's network and the two facts budgets are counted by (payment-rules §2.1 and §2.2).
    op.add_column("credentials", sa.Column("network", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("fingerprint", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("merchant_id", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("fingerprint", sa.Text(), nullable=True))
    op.create_index(
        "attempts_by_card",
        "attempts",
        ["fingerprint", "merchant_id", "finished_at"],
        postgresql_where=sa.text("fingerprint is not null"),
    )
