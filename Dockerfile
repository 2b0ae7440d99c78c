# The two images of damon-operator: `--target operator` (uid 65532) and `--target agent` (uid 0, which
# owns the files of the DAMON sysfs, and needs no capability). `make images` builds both.
#
# The base is pinned by the digest of its index, which names the image of each architecture. To update it, for fixes in
# Debian or Python, put in what this prints:
#   docker buildx imagetools inspect docker.io/library/python:3.13-slim --format '{{.Manifest.Digest}}'
# Another base of your own: --build-arg PYTHON_IMAGE=...
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

# --- what is needed to build, and stays behind -------------------------------------------------------
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements-build.lock /build/
RUN python3 -m venv /build/tools \
 && /build/tools/bin/python -m pip install --require-hashes -r /build/requirements-build.lock
# A virtual environment without pip: it is filled from outside and moved as a whole.
RUN python3 -m venv --without-pip /opt/damon

# The typed classes of the Kubernetes client, 66 MB of source, are loaded when first used: here never.
ENV NOT_COMPILED=kubernetes/(aio/)?client/(api|models)/

# Dependencies before sources: a change of the project rebuilds only the layers after them. Bytecode is made here,
# as the root file system is read-only later, and by hash, so that it does not hang on file times.
FROM builder AS operator-environment
COPY requirements-operator.lock /build/
RUN /build/tools/bin/python -m pip --python /opt/damon/bin/python install --no-compile --require-hashes \
      -r /build/requirements-operator.lock \
 && /opt/damon/bin/python -m compileall -q --invalidation-mode unchecked-hash -x "$NOT_COMPILED" /opt/damon/lib
COPY pyproject.toml README.md LICENSE /build/source/
COPY crds/damon_contract /build/source/crds/damon_contract
COPY operator/damon_operator /build/source/operator/damon_operator
RUN cd /build/source && /build/tools/bin/python -m hatchling build -t wheel -d /build/dist \
 && /build/tools/bin/python -m pip --python /opt/damon/bin/python install --no-compile --no-deps /build/dist/*.whl \
 && rm /opt/damon/bin/damon-agent /opt/damon/bin/damon-mock \
 && /opt/damon/bin/python -m compileall -q --invalidation-mode unchecked-hash \
      /opt/damon/lib/python3*/site-packages/damon_*

FROM builder AS agent-environment
COPY requirements-agent.lock /build/
RUN /build/tools/bin/python -m pip --python /opt/damon/bin/python install --no-compile --require-hashes \
      -r /build/requirements-agent.lock \
 && /opt/damon/bin/python -m compileall -q --invalidation-mode unchecked-hash -x "$NOT_COMPILED" /opt/damon/lib
COPY pyproject.toml README.md LICENSE /build/source/
COPY crds/damon_contract /build/source/crds/damon_contract
COPY agent/damon_agent /build/source/agent/damon_agent
RUN cd /build/source && /build/tools/bin/python -m hatchling build -t wheel -d /build/dist \
 && /build/tools/bin/python -m pip --python /opt/damon/bin/python install --no-compile --no-deps /build/dist/*.whl \
 && rm /opt/damon/bin/damon-operator /opt/damon/bin/damon-mock \
 && /opt/damon/bin/python -m compileall -q --invalidation-mode unchecked-hash \
      /opt/damon/lib/python3*/site-packages/damon_*

# --- what runs ----------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
# Installers are tools for whoever gets in. The globs are Debian's and the upstream image's places.
RUN rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* \
           /usr/lib/python3/dist-packages/pip* /usr/lib/python3*/ensurepip /usr/bin/pip* \
           /usr/share/python-wheels \
 && ! python3 -c 'import pip' 2>/dev/null \
 && ! command -v gcc && ! command -v cc
# PYTHONSAFEPATH: the working directory is no place to import from.
ENV PATH=/opt/damon/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.vendor="damon-operator" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM runtime AS agent
LABEL org.opencontainers.image.title="damon-agent" \
      org.opencontainers.image.description="Writes the DAMON targets and watermarks of one node's plan into sysfs"
COPY --from=agent-environment /opt/damon /opt/damon
USER 0:0
ENTRYPOINT ["damon-agent"]

FROM runtime AS operator
LABEL org.opencontainers.image.title="damon-operator" \
      org.opencontainers.image.description="Maps the priority of pods to DAMON settings: one plan per node"
COPY --from=operator-environment /opt/damon /opt/damon
USER 65532:65532
ENTRYPOINT ["damon-operator"]
