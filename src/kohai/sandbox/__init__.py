"""Runs untrusted programs and says what happened, whose fault it was, and what it cost."""

from kohai.sandbox.sandbox import Program, Sandbox, execute
from kohai.sandbox.state import normal_stdout, state_digest

__all__ = ["Program", "Sandbox", "execute", "normal_stdout", "state_digest"]
