"""The whole stack under kill -9: a due day with `make test-processes`, whole lives of agreements with `make soak`."""
