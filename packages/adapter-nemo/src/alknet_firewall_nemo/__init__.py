"""Rails for NeMo Guardrails: configuration only, `import_paths: [alknet_firewall_nemo]` in `config.yml`."""
