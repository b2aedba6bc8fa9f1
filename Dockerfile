# One image for every part: `docker run convergio:0.1.0 api`, `worker`, `projections`, `migrate`, `doctor`, `rebuild`.

FROM python:3.12.13-slim-bookworm AS build
WORKDIR /src
COPY requirements-uv.lock requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-uv.lock
RUN python -m venv /opt/convergio
RUN uv pip install --python /opt/convergio/bin/python --no-cache --compile-bytecode --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY domain/ domain/
COPY activities/ activities/
COPY workflows/ workflows/
COPY adapters/ adapters/
COPY api/ api/
COPY runtime/ runtime/
COPY agents/ agents/
RUN uv pip install --python /opt/convergio/bin/python --no-cache --compile-bytecode --no-deps --no-build-isolation .

FROM python:3.12.13-slim-bookworm
RUN groupadd --gid 10001 convergio && useradd --uid 10001 --gid convergio --no-create-home --home-dir /srv convergio
COPY --from=build /opt/convergio /opt/convergio
ENV PATH=/opt/convergio/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["convergio"]
CMD ["--help"]
