"""Plugins: what others add to the firewall. Mark an implementation of a hook with `hookimpl`."""

from alknet_firewall.plugins.hookspecs import hookimpl
from alknet_firewall.plugins.manager import Plugins, load_plugins

__all__ = ["Plugins", "hookimpl", "load_plugins"]
