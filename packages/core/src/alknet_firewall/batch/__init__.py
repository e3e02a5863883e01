"""Whole data sets: files in, the same rows with their verdicts out; on one machine or on a Ray cluster."""

from __future__ import annotations

from alknet_firewall.batch.job import Format, Job
from alknet_firewall.batch.run import Progress, Result, screen_dataset
from alknet_firewall.batch.tally import Tally

__all__ = ["Format", "Job", "Progress", "Result", "Tally", "screen_dataset"]
