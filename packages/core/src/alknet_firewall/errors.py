"""The errors that users can meet. Each message says what was wrong, where, and what to do."""

from __future__ import annotations


class AlknetFirewallError(Exception):
    """Base of every error of this package."""


class ConfigError(AlknetFirewallError, ValueError):
    """A setting is unknown or has a bad value; the message names the file, the key and the nearest valid key."""


class CodebookError(AlknetFirewallError):
    """A codebook is damaged, of a newer format, or made for another detector."""


class WeightsError(AlknetFirewallError):
    """The detector's weights are missing, damaged, or of a kind that cannot be read."""


class DetectorError(AlknetFirewallError):
    """A detector backend cannot run here, or returned something that is not hidden states."""


class OverloadedError(AlknetFirewallError):
    """More texts wait to be screened than `max_waiting` allows, or than can be answered before the deadline."""


class DeadlineError(AlknetFirewallError):
    """There was no verdict before the deadline."""


class StreamError(AlknetFirewallError):
    """A stream was used in a way that it cannot be: closed, from two threads at once, without hold-back."""


class StateError(AlknetFirewallError, ValueError):
    """The stored state of a conversation is damaged, of another version, or of another codebook or detector."""


class DataError(AlknetFirewallError):
    """Labelled data is malformed; the message names file and line."""


class PluginError(AlknetFirewallError):
    """A plugin was asked for by name and could not be loaded."""
