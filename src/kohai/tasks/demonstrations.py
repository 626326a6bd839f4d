"""Solved tasks that a prompt shows: those most like the task that it is for (Liu et al., arXiv 2101.06804)."""

from __future__ import annotations

from collections.abc import Sequence

from kohai.catalog import Index, tokens
from kohai.records import Task


class Demonstrations:
    """Searches tasks with references, by the words of their instructions and the apis that they call."""

    def __init__(self, solved: Sequence[Task]) -> None:
        self._solved = solved
        self._index = Index([[*tokens(task.instruction), *task.apis, *task.apis] for task in solved])

    def like(self, task: Task, apis: Sequence[str], count: int) -> list[Task]:
        """At most `count` others, the most alike first, that call the first of `apis`, the ids of the prompt's docs.

        One that calls something else is worse than none: the model copies it instead of reading the docs. Without docs
        the instructions alone decide.
        """
        order = [self._solved[place] for place in self._index.ranked([*tokens(task.instruction), *apis])]
        return [one for one in order if one.id != task.id and (not apis or apis[0] in one.apis)][:count]
