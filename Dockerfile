# Two images from one build: `docker build --target admin .` and `docker build --target envoy .`

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN rustup target add wasm32-wasip1
RUN cargo build --locked --profile wasm --target wasm32-wasip1 --package tollkeeper-filter
RUN cargo build --locked --release --package tollkeeper-admin

FROM debian:bookworm-slim AS admin
# Trusted authorities, for databases, Redis and sign-in over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/tollkeeper-admin /usr/local/bin/tollkeeper-admin
RUN useradd --system --uid 10001 tollkeeper && install --directory --owner tollkeeper /var/lib/tollkeeper
USER tollkeeper
WORKDIR /var/lib/tollkeeper
EXPOSE 4000
ENTRYPOINT ["tollkeeper-admin"]
CMD ["serve", "--listen", "0.0.0.0:4000"]

FROM envoyproxy/envoy:v1.40-latest AS envoy
COPY --from=build /src/target/wasm32-wasip1/wasm/tollkeeper_filter.wasm /etc/envoy/tollkeeper.wasm
COPY envoy/envoy.yaml /etc/envoy/envoy.yaml
EXPOSE 10000
