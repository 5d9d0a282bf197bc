# One image per service: docker build --build-arg SERVICE=ingest -t sensus-ingest .
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
COPY requirements.lock .
# every wheel of the lock of what runs, its hash checked
RUN pip wheel --no-cache-dir --require-hashes --no-deps --wheel-dir /wheels -r requirements.lock
COPY . .
# the second resolution sees nothing but those wheels, so what is installed is locked, and the embedded stores stay behind
RUN pip install --no-cache-dir --no-index --find-links /wheels hatchling==1.33.0 \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m venv /opt/sensus \
 && /opt/sensus/bin/pip install --no-cache-dir --no-index --find-links /wheels sensus

FROM python:${PYTHON}
ARG SERVICE
RUN test -n "$SERVICE" \
 && groupadd --gid 1001 sensus && useradd --uid 1001 --gid sensus --no-create-home --shell /usr/sbin/nologin sensus
COPY --from=build /opt/sensus /opt/sensus
ENV PATH=/opt/sensus/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba GRPC_VERBOSITY=NONE SENSUS_SERVICE=$SERVICE
USER 1001:1001
# exec: the service is process 1 and gets SIGTERM itself
CMD ["sh", "-c", "exec python -m services.$SENSUS_SERVICE"]
