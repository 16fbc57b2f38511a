#!/bin/sh
# Temporal's tables, made or brought to the version of this image. Safe to run at every start.
set -eu

for store in temporal:temporal temporal_visibility:visibility; do
    database=${store%%:*}
    versions=/etc/temporal/schema/postgresql/v12/${store##*:}/versioned
    tool="temporal-sql-tool --plugin postgres12 --endpoint $POSTGRES_SEEDS --port 5432 --user $POSTGRES_USER --database $database"
    $tool setup-schema --version 0.0
    $tool update-schema --schema-dir "$versions"
done
