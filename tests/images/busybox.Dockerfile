# homeostat/busybox:1: the smallest image that can print, sleep and die, for tests that need a container and nothing in it.
# One static binary (about 2 MB) and its names. Built by scripts/setup; built again when this file changes.
FROM debian:bookworm-slim AS build
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends busybox-static
RUN mkdir -p /image/bin /image/etc /image/root \
 && install -d -m 1777 /image/tmp \
 && cp "$(command -v busybox)" /image/bin/busybox \
 && for name in $(busybox --list); do [ "$name" = busybox ] || ln -s busybox "/image/bin/$name"; done \
 && printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n' > /image/etc/passwd \
 && printf 'root:x:0:\nnogroup:x:65534:\n' > /image/etc/group

FROM scratch
COPY --from=build /image/ /
ENV PATH=/bin
CMD ["sh"]
