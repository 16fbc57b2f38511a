"""Hypothesis without a deadline: a busy machine is not a broken law."""

from hypothesis import settings

settings.register_profile("laws", deadline=None, max_examples=200)
settings.load_profile("laws")
