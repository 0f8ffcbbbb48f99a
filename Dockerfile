# syntax=docker/dockerfile:1

# What models run on: `cpu`, or `cuda` for NVIDIA graphics cards.
ARG DEVICE=cpu

# --- What it is built with ---------------------------------------------------------------------------
FROM rust:1.95-bookworm AS rust

FROM rust AS toolchain-cpu
ENV FEATURES=""

FROM nvidia/cuda:12.8.1-devel-ubuntu24.04 AS toolchain-cuda
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
# There is no card to ask while building. Cards newer than this compute capability run it too.
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH \
    CUDA_COMPUTE_CAP=80 FEATURES="--features cuda"

# --- Build: the same command as without Docker -------------------------------------------------------
FROM toolchain-${DEVICE} AS build
ARG DEVICE
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=target-${DEVICE},target=/src/target \
    cargo xtask build --release ${FEATURES} \
    && install -D target/release/chandler /out/bin/chandler \
    && cp -r target/site /out/site

# --- Run ---------------------------------------------------------------------------------------------
FROM debian:bookworm-slim AS system-cpu

FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04 AS system-cuda
# Kernels are compiled for the card that is found when they are first used.
ENV CUDA_CACHE_PATH=/tmp/cuda

FROM system-${DEVICE}
RUN useradd --system --uid 10001 --home-dir /chandler --create-home chandler
COPY --from=build /out/bin/chandler /usr/local/bin/chandler
COPY --from=build /out/site /usr/local/share/chandler/site
# A new volume mounted over one of these folders starts with what is in it here.
COPY --chown=chandler models/wick /chandler/models/wick
COPY --chown=chandler data /chandler/data
COPY --chown=chandler examples /chandler/examples
# What recipes write on the command line goes to saves/.
RUN install --directory --owner chandler /chandler/models /chandler/runs /chandler/cache /chandler/saves
USER chandler
WORKDIR /chandler
# Encoded data, and what was fetched from hubs, go into the cache. Nothing of a container outlives its first
# process: runs stop with a checkpoint when it is told to end, and go on when it is back; so do those that a kill or
# a power cut has ended.
ENV LEPTOS_SITE_ROOT=/usr/local/share/chandler/site \
    XDG_CACHE_HOME=/chandler/cache \
    CHANDLER_STOP_RUNS_ON_EXIT=true \
    CHANDLER_RESUME_INTERRUPTED=true
VOLUME ["/chandler/models", "/chandler/data", "/chandler/runs", "/chandler/cache", "/chandler/saves"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --start-interval=1s \
    CMD ["chandler", "health"]
ENTRYPOINT ["chandler"]
# Every address of the container: what reaches it is for `docker run --publish` to say. Without a
# CHANDLER_PASSWORD the board makes one up and prints it.
CMD ["webui", "--host", "0.0.0.0", "--port", "7860"]
