# A service image around a binary built on this machine; the context is a directory of binaries (scripts/offline-images fills it).
# What it stands on is the stage `runtime` of the real Dockerfile.
FROM elasticore-offline/runtime
ARG BINARY
ARG PORT
ENV BINARY=${BINARY} PORT=${PORT}
COPY ${BINARY} /usr/local/bin/
CMD ["sh", "-c", "exec \"$BINARY\""]
