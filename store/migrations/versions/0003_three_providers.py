"""Cards and the two other providers: first payments, what is known of a card, and what the front door keeps.

Online: every new column may be empty or has a default of the server.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The customer's own payment is an attempt too: which page it is made on; by which credential is known afterwards.
    op.add_column("attempts", sa.Column("authorization_id", sa.Text(), nullable=True))
    op.create_index("ix_attempts_authorization_id", "attempts", ["authorization_id"])
    op.alter_column("attempts", "credential_id", nullable=True)
    op.add_column("attempts", sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True))
    # What later debits of a card name, and what is known against it.
    for name in ("network_transaction_id", "transaction_link_id", "mit_reason", "token_reference"):
        op.add_column("credentials", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "credentials",
        sa.Column("marks", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )
    # Reminders of card changes, and of credentials that are about to expire.
    op.add_column("card_changes", sa.Column("reminders", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("agreements", sa.Column("warned_of", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True))
    # The customer's own page.
    op.create_table(
        "portal_links",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("sealed_token", sa.Text(), nullable=False),
        sa.Column("return_url", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.add_column("card_changes", sa.Column("portal_link_id", sa.Text(), nullable=True))
    # Keys that end, and when they were last used; who did what.
    op.add_column("merchants", sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("ending", sa.Text(), server_default="", nullable=False))
    op.add_column("api_keys", sa.Column("works_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "audit_trail",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("agreement_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_trail_agreement", "audit_trail", ["agreement_id", "id"])
    op.create_index("audit_trail_merchant", "audit_trail", ["merchant_id", "id"])
    # Credentials that serve several agreements, and those that are deleted. Until now there were wallets only, whose
    # brand is their method.
    op.add_column("credentials", sa.Column("payment_method", sa.Text(), server_default="", nullable=False))
    op.execute("update credentials set payment_method = brand")
    op.add_column("credentials", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("credentials", "sealed_access_token", nullable=True)
    op.execute(
        "update credentials set status = 'released' from agreements where agreements.credential_id = credentials.id"
        " and agreements.ended = 'revoked' and agreements.revocation->>'provider_status' = 'done'"
    )
    in_flight = sa.text("status in ('sent', 'processing', 'unknown')")
    op.create_index("attempts_in_flight", "attempts", ["credential_id"], postgresql_where=in_flight)
    op.create_index(
        "credentials_of_customer", "credentials", ["merchant_id", "livemode", "customer_id", sa.text("id desc")]
    )
    op.create_index("ix_agreements_credential_id", "agreements", ["credential_id"])
    # What customers were shown before they agreed.
    op.create_table(
        "consents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("authorization_id", sa.Text(), nullable=True),
        sa.Column("card_change_id", sa.Text(), nullable=True),
        sa.Column("credential_id", sa.Text(), nullable=True),
        sa.Column("shown", postgresql.JSONB(), nullable=False),
        sa.Column("shown_hash", sa.Text(), nullable=False),
        sa.Column("sealed_evidence", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("authorization_id"),
    )
    op.create_index("consents_newest", "consents", ["agreement_id", sa.text("id desc")])
    # Webhooks: endpoints that are disabled or have two secrets, deliveries in several runs, the log of attempts.
    for name in ("failing_since", "disabled_at"):
        op.add_column("webhook_endpoints", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhook_endpoints", sa.Column("disabled_reason", sa.Text(), nullable=True))
    op.add_column(
        "webhook_endpoints", sa.Column("catching_up", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "retired_webhook_secrets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("signs_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_retired_webhook_secrets_endpoint_id", "retired_webhook_secrets", ["endpoint_id"])
    op.add_column("deliveries", sa.Column("run", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "deliveries",
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("deliveries", sa.Column("attempts_before", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("deliveries", sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("deliveries_of_endpoint", "deliveries", ["endpoint_id", "id"])
    op.create_index(
        "deliveries_open", "deliveries", ["endpoint_id", "status"], postgresql_where=sa.text("finished_at is null")
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_attempts_in_order", "delivery_attempts", ["delivery_id", "number"])
    op.create_index("delivery_attempts_by_age", "delivery_attempts", ["at"])
    # The journal: what was received and not judged, and what may be forgotten.
    op.create_index("notifications_received", "notifications", ["id"], postgresql_where=sa.text("status = 'received'"))
    op.create_index("notifications_by_age", "notifications", ["status", "created_at"])
    # Payments declared at customs.
    op.create_table(
        "declarations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("customs_code", sa.Text(), nullable=False),
        sa.Column("merchant_code", sa.Text(), nullable=False),
        sa.Column("merchant_name", sa.Text(), nullable=False),
        sa.Column("sub_order_id", sa.Text(), nullable=True),
        sa.Column("sealed_buyer", sa.Text(), nullable=True),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("decline", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started", sa.Boolean(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.ForeignKeyConstraint(["charge_id"], ["charges.id"]),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_declarations_agreement_id", "declarations", ["agreement_id"])
    op.create_index("ix_declarations_charge_id", "declarations", ["charge_id"])
    op.create_index("declarations_unstarted", "declarations", ["written_at"], postgresql_where=sa.text("not started"))
    op.add_column("authorizations", sa.Column("card_key", sa.Text(), nullable=True))
