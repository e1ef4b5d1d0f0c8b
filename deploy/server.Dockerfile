# Vouch's server and the client's commands: no torch, no compiler, no pip, no cache.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL=https://pypi.org/simple
# cpu, or cuda with its libraries: the provider for serving.
ARG PROVIDER=cpu
ENV PATH=/opt/build/bin:${PATH} PIP_INDEX_URL=${PIP_INDEX_URL} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY deploy/locks /locks
RUN python -m venv /opt/build \
 && python -m venv --without-pip /opt/vouch \
 && pip install --require-hashes -r /locks/build.txt \
 && pip --python /opt/vouch/bin/python install --require-hashes -r /locks/server-${PROVIDER}.txt
COPY pyproject.toml README.md LICENSE /house/
COPY vouch /house/vouch
COPY bundle /house/bundle
COPY cli /house/cli
COPY client /house/client
COPY protos /house/protos
COPY server /house/server
COPY sources /house/sources
RUN pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels /house \
 && pip --python /opt/vouch/bin/python install --no-index --no-deps /wheels/*.whl

# What is installed, as a bill of materials (CycloneDX).
FROM build AS sbom
ARG VERSION=0.2.0
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --require-hashes -r /locks/sbom.txt \
 && sed --in-place "s/^dynamic = .*/version = \"${VERSION}\"/" /house/pyproject.toml \
 && /opt/sbom/bin/cyclonedx-py environment --no-validate --output-reproducible --pyproject /house/pyproject.toml \
        --output-file /sbom.cdx.json /opt/vouch/bin/python

FROM ${PYTHON_IMAGE}
ARG PROVIDER=cpu
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Vouch server" \
      org.opencontainers.image.description="Serves image classifiers that have vouched for their accuracy, over gRPC." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A new volume that is mounted here gets this folder's owner.
RUN groupadd --gid 10001 vouch \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vouch \
 && install --directory --owner 10001 --group 10001 /models /work
COPY --from=build /opt/vouch /opt/vouch
COPY --from=sbom /sbom.cdx.json /opt/vouch/sbom.cdx.json
ENV PATH=/opt/vouch/bin:${PATH} PYTHONUNBUFFERED=1 HOME=/tmp \
    VOUCH_SERVE_MODELS=/models VOUCH_SERVE_HOST=0.0.0.0 \
    VOUCH_SERVE_PROVIDER=${PROVIDER}
USER 10001:10001
WORKDIR /work
EXPOSE 8081 8082
ENTRYPOINT ["vouch"]
CMD ["serve"]
