# Images of the three services and the CLI. Written for the classic builder (docker-compose 1.29) as well as for BuildKit.
#
#   docker build --target master -t elasticore/master .     (or auxiliary, worker, cli)
#
# The order of the stages matters: the classic builder builds every stage above the target.

ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG RUST_IMAGE=rust:1.95-bookworm
ARG ETCD_IMAGE=gcr.io/etcd-development/etcd:v3.5.21

# What every service stands on: certificates, curl for the health check, tini to pass on signals, and a user that is not root.
FROM ${RUNTIME_IMAGE} AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/elasticore --shell /usr/sbin/nologin elasticore \
    && mkdir -p /var/lib/elasticore /data \
    && chown elasticore:elasticore /var/lib/elasticore
COPY deploy/docker/entrypoint /usr/local/bin/elasticore-entrypoint
COPY deploy/docker/health /usr/local/bin/elasticore-health
WORKDIR /var/lib/elasticore
USER 10001:10001
ENV LOG_FORMAT=json
ENTRYPOINT ["tini", "--", "elasticore-entrypoint"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD elasticore-health || exit 1

# etcd as its authors ship it, but not as root: a named volume takes the owner of the directory it covers.
FROM ${ETCD_IMAGE} AS etcd
COPY --from=runtime --chown=10001:10001 /var/lib/elasticore /etcd-data
USER 10001:10001

# Manifests with empty sources: this changes only when dependencies change, and so does all that is built from it.
FROM ${RUST_IMAGE} AS manifests
WORKDIR /source
COPY . .
RUN sh deploy/docker/manifests /source /manifests

FROM ${RUST_IMAGE} AS dependencies
# The etcd client's build script runs protoc, on files that import protobuf's own.
RUN apt-get update && apt-get install -y --no-install-recommends protobuf-compiler libprotobuf-dev && rm -rf /var/lib/apt/lists/*
ARG CARGO_PROFILE=release
ENV CARGO_TARGET_DIR=/target \
    BUILD="cargo build --locked --profile ${CARGO_PROFILE} --features etcd -p master -p auxiliary -p worker -p elasticore"
WORKDIR /build
COPY --from=manifests /manifests ./
RUN ${BUILD}

# All binaries, built once. Sources are touched because the empty ones were compiled after these were written.
FROM dependencies AS builder
COPY crates ./crates
COPY services ./services
RUN find crates services -name '*.rs' -exec touch {} + && ${BUILD}
RUN mkdir /out \
    && directory=$(case "${CARGO_PROFILE}" in dev) echo debug ;; *) echo "${CARGO_PROFILE}" ;; esac) \
    && for binary in elasticore-master elasticore-auxiliary elasticore-worker elasticore; do \
        strip --strip-debug -o "/out/${binary}" "/target/${directory}/${binary}" || exit 1; \
    done

FROM runtime AS master
COPY --from=builder /out/elasticore-master /usr/local/bin/
ENV PORT=8000 INTERNAL_PORT=9000
EXPOSE 8000 9000
CMD ["elasticore-master"]

FROM runtime AS auxiliary
COPY --from=builder /out/elasticore-auxiliary /usr/local/bin/
ENV PORT=3001
EXPOSE 3001
CMD ["elasticore-auxiliary"]

FROM runtime AS worker
COPY --from=builder /out/elasticore-worker /usr/local/bin/
ENV PORT=4001
EXPOSE 4001
CMD ["elasticore-worker"]

FROM runtime AS cli
COPY --from=builder /out/elasticore /usr/local/bin/
HEALTHCHECK NONE
ENTRYPOINT ["tini", "--", "elasticore"]
CMD ["--help"]
