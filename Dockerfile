# One image, three commands: serve (default), worker, migrate.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/metrograph
COPY requirements.lock .
RUN /opt/metrograph/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY connectors connectors
RUN /opt/metrograph/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/metrograph metrograph \
    # A volume takes the owner of the folder that it covers.
    && install --directory --owner metrograph --group metrograph /var/lib/metrograph/data
COPY --from=build /opt/metrograph /opt/metrograph
ENV PATH=/opt/metrograph/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    METROGRAPH_DATA_DIR=/var/lib/metrograph/data
USER metrograph
WORKDIR /var/lib/metrograph
VOLUME /var/lib/metrograph/data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["metrograph"]
CMD ["serve", "--host", "0.0.0.0"]
