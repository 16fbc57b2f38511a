"""What a sweep asks for every half minute is found by an index, whatever the number of agreements.

Online: built beside the running engine. Apart from 0004 because it cannot be part of a transaction; one that was
interrupted is begun anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # The builder waits for every transaction that began before it, as long as that takes; nobody waits for it.
        usual = op.get_bind().scalar(sa.text("show lock_timeout"))
        op.execute("set lock_timeout = 0")
        op.drop_index("agreements_unstarted", "agreements", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "agreements_unstarted",
            "agreements",
            ["written_at"],
            postgresql_where=sa.text("not started"),
            postgresql_concurrently=True,
        )
        op.execute(f"set lock_timeout = '{usual}'")
