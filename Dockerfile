# docker build -t gradscape .       then: docker run --rm -v "$PWD/results:/gradscape/results" gradscape
# With CUDA: --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04, and docker run --gpus all.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS system
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    ca-certificates git make python3 python3-venv \
    latexmk texlive-latex-recommended texlive-fonts-recommended \
    && rm -rf /var/lib/apt/lists/*

FROM system
WORKDIR /gradscape
COPY . .
RUN make setup
ENV PATH=/gradscape/.venv/bin:$PATH
CMD ["make", "demo"]
