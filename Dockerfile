# One image for every service; compose.yaml says which of them a container is.
# Every package comes from requirements.lock, by its hash.
FROM node:24-bookworm-slim AS web
WORKDIR /web
COPY services/gateway/web ./
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/weft
COPY requirements.lock ./
RUN /opt/weft/bin/python -m pip --no-cache-dir --disable-pip-version-check \
        install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY weft weft
COPY services services
COPY stack stack
COPY --from=web /web/dist services/gateway/web/dist
RUN /opt/weft/bin/python -m pip --no-cache-dir --disable-pip-version-check \
        install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin weft \
    && install -d -o weft -g weft -m 700 /var/lib/weft/spill /var/lib/weft/artifacts
COPY --from=build /opt/weft /opt/weft
ENV PATH=/opt/weft/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /opt/weft
CMD ["python", "-m", "services.gateway"]
