"""Further ways in: a proxy before MCP servers, and a look through the files that agents obey."""

from __future__ import annotations
