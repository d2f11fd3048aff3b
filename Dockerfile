# docker build -t gradscape . && docker run -v "$PWD/results:/gradscape/results" gradscape
# On a GPU: --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04, and docker run --gpus all
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
COPY envs/tex.sh /tmp/
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git make python3 python3-venv \
    && /tmp/tex.sh \
    && rm -rf /var/lib/apt/lists/*

FROM system
WORKDIR /gradscape
COPY . .
RUN make setup
ENV PATH=/gradscape/.venv/bin:$PATH
CMD ["make", "demo"]
