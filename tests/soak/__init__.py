"""The whole stack under kill -9 and a provider's faults: a short run in the suite, a long one with `make soak`."""
