"""Measuring the engine: simulated cycles with faults and an audit, and policies replayed over a decline mix."""
