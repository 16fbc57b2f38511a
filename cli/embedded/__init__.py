"""PostgreSQL, Temporal and our own processes on one machine, started from ordinary wheels and kept alive."""
