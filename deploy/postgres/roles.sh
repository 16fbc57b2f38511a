#!/bin/bash
# Run once, by the image, when the volume is empty: a role and its databases for the engine and for Temporal each.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set engine_password="$AUTODEBIT_DATABASE_PASSWORD" --set temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
create role autodebit login password :'engine_password';
create role temporal login password :'temporal_password';
create database autodebit owner autodebit;
create database temporal owner temporal;
create database temporal_visibility owner temporal;
revoke connect on database autodebit, temporal, temporal_visibility from public;
SQL
