# smidgen's serving side: no PyTorch, no compiler, not root.
#
#   docker build -t smidgen .
#   docker run -p 8080:8080 -v ./my-model:/model:ro smidgen
#
# Every package is the one of requirements/serve.lock, checked by its hash.
FROM node:22-slim AS page
WORKDIR /src/studio
COPY studio ./
RUN npm ci --no-audit --no-fund && npm run build

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/smidgen
COPY requirements/serve.lock requirements/serve.lock
RUN /opt/smidgen/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary=:all: -r requirements/serve.lock
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY src src
COPY --from=page /src/src/smidgen/studio/dist src/smidgen/studio/dist
RUN /opt/smidgen/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 smidgen && install -d -o smidgen /home/smidgen/data
COPY --from=build /opt/smidgen /opt/smidgen
ENV PATH=/opt/smidgen/bin:$PATH SMIDGEN_HOME=/home/smidgen/data PYTHONUNBUFFERED=1
USER smidgen
WORKDIR /home/smidgen
VOLUME /home/smidgen/data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["smidgen"]
CMD ["serve", "/model", "--host", "0.0.0.0", "--port", "8080"]
