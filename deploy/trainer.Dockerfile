# Vouch's trainer: a batch job that trains a classifier and publishes it to /models.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL=https://pypi.org/simple
# The index for torch. Builds of one version differ, so torch is pinned by version, and all other packages by hash.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG TORCH_VERSION=2.13.0
ENV PATH=/opt/build/bin:${PATH} PIP_INDEX_URL=${PIP_INDEX_URL} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY deploy/locks /locks
RUN python -m venv /opt/build \
 && python -m venv --without-pip /opt/vouch \
 && pip install --require-hashes -r /locks/build.txt \
 && pip --python /opt/vouch/bin/python install --require-hashes -r /locks/trainer.txt \
 && pip --python /opt/vouch/bin/python install --no-deps --index-url ${TORCH_INDEX_URL} torch==${TORCH_VERSION}
COPY pyproject.toml README.md LICENSE /house/
COPY vouch /house/vouch
COPY bundle /house/bundle
COPY cli /house/cli
COPY protos /house/protos
COPY sources /house/sources
COPY trainer /house/trainer
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
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Vouch trainer" \
      org.opencontainers.image.description="Fits an image classifier, counts its claim, and publishes both as a bundle." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The same user as the server's, so that each can read the other's files. A new volume gets the owner of its folder.
RUN groupadd --gid 10001 vouch \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vouch \
 && install --directory --owner 10001 --group 10001 /models /cache /data
COPY --from=build /opt/vouch /opt/vouch
COPY --from=sbom /sbom.cdx.json /opt/vouch/sbom.cdx.json
ENV PATH=/opt/vouch/bin:${PATH} PYTHONUNBUFFERED=1 HOME=/tmp MPLCONFIGDIR=/tmp \
    XDG_CACHE_HOME=/cache VOUCH_DATA=/data VOUCH_TRAIN_MODELS=/models
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["vouch"]
CMD ["train"]
