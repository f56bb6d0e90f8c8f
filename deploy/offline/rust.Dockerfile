# This machine's Rust toolchain (the context) on Debian, in the place of rust:bookworm.
FROM elasticore-offline/debian
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential ca-certificates pkg-config \
    && rm -rf /var/lib/apt/lists/*
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY bin /usr/local/bin
COPY lib /usr/local/lib
RUN ldconfig && cargo --version
