"""Whether a program left behind what its task asked for."""

from __future__ import annotations

from kohai.records import Effect, Execution
from kohai.sandbox import normal_stdout


def effect_match(execution: Execution, effect: Effect | None) -> bool | None:
    """True where a program ran and its final state and normalised output are the task's.

    None where nobody can say: the task states no effect, or the environment failed (or may have).
    """
    if effect is None or execution.ran is None:
        return None
    if not execution.ran:
        return False
    return execution.state == effect.state and normal_stdout(execution.stdout) == normal_stdout(effect.stdout)
