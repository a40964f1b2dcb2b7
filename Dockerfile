# All services and the modelbus command in one image; docker-compose.yml says which one a container runs.
# The target "worker" has what the examples' tasks need besides: base an image of yours on it.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
# The packages are a layer of their own: they change less often than the sources.
COPY scripts/packages.sh scripts/
RUN . scripts/packages.sh && need build
COPY . .
RUN scripts/build --no-install && DESTDIR=/out cmake --install build/release --strip

FROM ${BASE} AS services
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
COPY scripts/packages.sh /tmp/
RUN . /tmp/packages.sh && need image && rm -rf /var/lib/apt/lists/* /tmp/packages.sh
# A number above those of people and of the system's own users. New volumes begin as the folders here: with their owner,
# and with what services that only read artifacts expect.
RUN useradd --uid 10001 --user-group --home-dir /var/lib/modelbus --shell /usr/sbin/nologin modelbus && \
    install -d -o modelbus -g modelbus -m 0750 /var/lib/modelbus /var/lib/modelbus/cache \
        /var/lib/modelbus/artifacts /var/lib/modelbus/artifacts/objects /var/lib/modelbus/artifacts/tmp \
        /var/lib/modelbus/worker
COPY --from=build /out/usr/local/ /usr/local/
USER modelbus
WORKDIR /var/lib/modelbus
CMD ["modelbus", "--help"]

FROM services AS worker
USER root
COPY scripts/packages.sh /tmp/
RUN . /tmp/packages.sh && need worker && rm -rf /var/lib/apt/lists/* /tmp/packages.sh
USER modelbus
CMD ["modelbus-worker"]

FROM services
