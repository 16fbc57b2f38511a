"""The collection engine: amounts set cycle by cycle, policies of an agreement's own, refunds asked for by merchants

Online: every new column may be empty or has a default of the server.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

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
    # Set cycle by cycle where the terms leave the amount open.
    op.alter_column("charges", "currency", nullable=True)
    op.alter_column("charges", "amount", nullable=True)
    op.add_column("charges", sa.Column("amount_set", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    # Standings read an agreement's charges at every change, those on demand included, which no index names by cycle.
    op.create_index("charges_of_agreement", "charges", ["agreement_id", "due_at"])
    op.add_column("agreements", sa.Column("currency", sa.Text(), nullable=True))
    op.add_column("charges", sa.Column("description", sa.Text(), nullable=True))
    op.add_column("charges", sa.Column("carried_to", sa.Integer(), nullable=True))
    op.add_column("charges", sa.Column("act_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("charges", sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True))
    # Refunds merchants ask for, and those made at the provider, whose ids are unique per account only.
    op.add_column("refunds", sa.Column("origin", sa.Text(), server_default="engine", nullable=False))
    op.add_column("refunds", sa.Column("decline", postgresql.JSONB(), nullable=True))
    op.add_column("refunds", sa.Column("in_doubt", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("refunds", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("looks", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("refunds", sa.Column("times_not_found", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("refunds", sa.Column("started", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column(
        "refunds", sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )
    op.alter_column("refunds", "reason", nullable=True)
    op.create_index("refunds_by_request", "refunds", ["request_id", "agreement_id"], unique=True)
    op.drop_constraint("refunds_request_id_key", "refunds", type_="unique")
    op.create_index("refunds_unstarted", "refunds", ["written_at"], postgresql_where=sa.text("not started"))
    op.add_column("notifications", sa.Column("refund_id", sa.Text(), nullable=True))
    for name in ("notice_at", "noticed_at", "notice_proven_at"):
        op.add_column("charges", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("agreements", sa.Column("notice", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("agreements", sa.Column("own_policy", postgresql.JSONB(none_as_null=True), nullable=True))
    # Card changes, and the release of the credentials they replace.
    op.create_table(
        "card_changes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("initiator", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("link_hash", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("return_url", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("credential_id", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("link_hash"),
    )
    op.create_index("card_changes_newest", "card_changes", ["agreement_id", sa.text("id desc")])
    op.create_index(
        "card_changes_one_open",
        "card_changes",
        ["agreement_id"],
        unique=True,
        postgresql_where=sa.text("status in ('pending', 'opened')"),
    )
    op.add_column("authorizations", sa.Column("card_change_id", sa.Text(), nullable=True))
    op.create_index("ix_authorizations_card_change_id", "authorizations", ["card_change_id"])
    op.add_column("credentials", sa.Column("released_by", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("release_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("credentials", sa.Column("release_tries", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "credentials_unreleased",
        "credentials",
        ["released_by"],
        postgresql_where=sa.text("release_at is not null"),
    )
