# One image for every process of the engine; the command says which.
# The base may be pinned further: docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
# The version of uv.lock.
RUN pip install uv==0.13.8
WORKDIR /build
ENV UV_PROJECT_ENVIRONMENT=/opt/autodebit
# The libraries first: this layer is made anew only when the lock changes.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --no-install-project --compile-bytecode
COPY README.md ./
COPY logs.py settings.py worker.py ./
COPY agreements ./agreements
COPY gateways ./gateways
COPY store ./store
COPY activities ./activities
COPY workflows ./workflows
COPY telemetry ./telemetry
COPY api ./api
COPY sandbox ./sandbox
COPY bench ./bench
COPY cli ./cli
RUN uv sync --frozen --no-default-groups --no-editable --compile-bytecode

FROM ${BASE}
LABEL org.opencontainers.image.title="autodebit" \
      org.opencontainers.image.description="A self-hosted engine for recurring payments"
RUN groupadd --system --gid 10001 autodebit \
    && useradd --system --uid 10001 --gid autodebit --home-dir /nonexistent --shell /usr/sbin/nologin autodebit \
    && install --directory --owner autodebit --group autodebit /data
# Owned by root: the process cannot change its own code.
COPY --from=build /opt/autodebit /opt/autodebit
ENV PATH=/opt/autodebit/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["autodebit"]
CMD ["--help"]
