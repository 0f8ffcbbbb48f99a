# syntax=docker/dockerfile:1

# --- Build: the same command as without Docker -------------------------------------------------------
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo xtask build --release \
    && install -D target/release/chandler /out/bin/chandler \
    && cp -r target/site /out/site

# --- Run ---------------------------------------------------------------------------------------------
FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /chandler --create-home chandler
COPY --from=build /out/bin/chandler /usr/local/bin/chandler
COPY --from=build /out/site /usr/local/share/chandler/site
# A new volume mounted over one of these folders starts with what is in it here.
COPY --chown=chandler models/wick /chandler/models/wick
COPY --chown=chandler data /chandler/data
RUN install --directory --owner chandler /chandler/models /chandler/runs
USER chandler
WORKDIR /chandler
ENV LEPTOS_SITE_ROOT=/usr/local/share/chandler/site
VOLUME ["/chandler/models", "/chandler/data", "/chandler/runs"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --start-interval=1s \
    CMD ["chandler", "health"]
ENTRYPOINT ["chandler"]
# Every address of the container: what reaches it is for `docker run --publish` to say. Without a
# CHANDLER_PASSWORD the board makes one up and prints it.
CMD ["webui", "--host", "0.0.0.0", "--port", "7860"]
