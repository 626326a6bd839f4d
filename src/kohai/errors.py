"""Every error that Kohai raises on purpose.

KohaiError
├── UserError            the user can mend it: exit code 2
│   ├── ConfigError      a configuration; lists every mistake at once
│   ├── DataError        a task, catalog, rubric or model file; names file, line and field
│   ├── EndpointError    a judge's or a rollout server's endpoint refused, hung or answered nonsense
│   ├── BudgetError      what may be spent on a judge is spent
│   ├── WorkspaceError   a run's folder: another version, another config, locked, no space left
│   ├── ToolError        something that this machine lacks
│   └── UnscoredError    more answers are missing than the run allows
├── TrainingError        training went wrong (not a number, no signal): exit code 1
└── InternalError        ours: exit code 1
"""

from __future__ import annotations


class KohaiError(Exception):
    """Base of all; `exit_code` is what the command line ends with."""

    exit_code = 1


class UserError(KohaiError):
    """Something that the user can mend: the message says where, which value, and what to do."""

    exit_code = 2


class ConfigError(UserError):
    """One or more mistakes in a configuration, all of them in one message."""


class DataError(UserError):
    """A file that is not what it should be; names file, line and field."""


class EndpointError(UserError):
    """A judge's or a rollout server's endpoint refused, hung or answered nonsense."""


class BudgetError(UserError):
    """What may be spent on a judge is spent."""


class WorkspaceError(UserError):
    """A run's folder cannot be used as it is."""


class ToolError(UserError):
    """Something that this machine lacks."""


class UnscoredError(UserError):
    """More answers are missing than the run allows."""


class TrainingError(KohaiError):
    """Training went wrong and was stopped before it could spoil a checkpoint."""


class InternalError(KohaiError):
    """A fault of ours."""
