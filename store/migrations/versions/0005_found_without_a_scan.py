"""What sweeps, every change of an agreement and the list of a customer's agreements ask for is found by an index.

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
        _build("agreements_unstarted", "agreements", ["written_at"], where="not started")
        _build("agreements_of_customer", "agreements", ["merchant_id", "livemode", "customer_id", sa.text("id desc")])
        _build("attempts_of_agreement", "attempts", ["agreement_id", "status"])
        op.execute(f"set lock_timeout = '{usual}'")


def _build(name: str, table: str, columns: list[str | sa.TextClause], where: str | None = None) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    partial = None if where is None else sa.text(where)
    op.create_index(name, table, columns, postgresql_where=partial, postgresql_concurrently=True)
