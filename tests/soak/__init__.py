"""The whole stack under kill -9: a due day in the suite, whole lives of agreements with `make soak`."""
