# homeostat/sandbox-go:1: the sandbox with Go. Built by `scripts/sandbox-image go`.
# A project's modules are not in here: they come in as its dependency snapshot.
FROM homeostat/sandbox:1
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc golang-go libc6-dev \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
# There is no network; and the root is read-only while it runs, so caches go where it may write.
ENV GOFLAGS=-buildvcs=false \
    GOPROXY=off \
    GOCACHE=/tmp/go-build \
    GOTOOLCHAIN=local
USER agent
