"""The metrics of APIs known by docs alone: is it the task's call, any documented one, and what Gorilla counts."""

from __future__ import annotations

from kohai.catalog import Catalog
from kohai.catalog.calls import ApiMatch, hub_match, wanted_call
from kohai.metrics.gorilla_ast import ApiRow, Decision, GorillaAst, Mode
from kohai.records import Task


class DocumentedMetrics:
    """On one catalog of documented calls; a task names the call that is wanted as its first api."""

    def __init__(self, catalog: Catalog, mode: Mode | None = None) -> None:
        self._catalog = catalog
        self._gorilla = GorillaAst([ApiRow(api.signature, api.domain) for api in catalog.apis], mode)

    def of(self, code: str, task: Task) -> dict[str, bool | None]:
        """By metric; None = unscored.

        Gorilla's scripts look for the call in the answer's part of that name; here it is looked for in the program.
        `gorilla_ast` is whether they count it correct, unscored for a task whose call is in no row of the docs.
        """
        found: dict[str, bool | None] = {"hallucinated_api": self.hallucinated(code)}
        decision = self.decide(f"api_call: {code}", task)
        if decision is not None:
            found["gorilla_ast"] = decision == "correct"
        match = self.match(code, task)
        return found if match is None else {**found, **match.metrics}

    def hallucinated(self, code: str) -> bool | None:
        """Whether a program calls nothing that the docs name; None where it does not parse."""
        documented = self._catalog.documented
        return None if documented is None else documented.hallucinated(code)

    def decide(self, answer: str, task: Task) -> Decision | None:
        """What Gorilla's scripts count an answer as; None where no row of the docs has the task's call."""
        row = self._catalog.get(task.apis[0]) if task.apis else None
        return None if row is None else self._gorilla.decide(answer, row.domain)

    def match(self, code: str, task: Task) -> ApiMatch | None:
        """How far a program calls what the task names; None where that is no Python call."""
        wanted = wanted_call(task.apis[0]) if task.apis else None
        return None if wanted is None else hub_match(code, wanted)
