"""How good a firewall is on labelled text."""

from alknet_firewall.evaluate.report import Report, ScoredRow, report
from alknet_firewall.evaluate.scoring import limited, score_rows

__all__ = ["Report", "ScoredRow", "limited", "report", "score_rows"]
