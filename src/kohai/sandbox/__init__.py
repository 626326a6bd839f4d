"""Runs untrusted programs and says what happened, whose fault it was, and what it cost."""

from kohai.sandbox.sandbox import Program, Sandbox
from kohai.sandbox.state import normal_stdout, state_digest

__all__ = ["Program", "Sandbox", "normal_stdout", "state_digest"]
