"""A page on this machine that shows what the firewall sees in a text: for people who want to understand it."""

from __future__ import annotations
