"""The metrics of APIs known by docs alone: is it the task's call, any documented one, and what Gorilla counts."""

from __future__ import annotations

from kohai.catalog import Catalog
from kohai.catalog.calls import hub_match, wanted_call
from kohai.metrics.gorilla_ast import ApiRow, GorillaAst
from kohai.records import Task


class DocumentedMetrics:
    """On one catalog of documented calls; a task names the call that is wanted as its first api."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._gorilla = GorillaAst([ApiRow(api.signature, api.domain) for api in catalog.apis])

    def of(self, code: str, task: Task) -> dict[str, bool | None]:
        """By metric; None = unscored.

        Gorilla's scripts look for the call in the answer's part of that name; here it is looked for in the program.
        `gorilla_ast` is whether they count it correct, unscored for a task whose call is in no row of the docs.
        """
        documented = self._catalog.documented
        found: dict[str, bool | None] = {
            "hallucinated_api": documented.hallucinated(code) if documented is not None else None
        }
        row = self._catalog.get(task.apis[0]) if task.apis else None
        if row is not None:
            found["gorilla_ast"] = self._gorilla.decide(f"api_call: {code}", row.domain) == "correct"
        wanted = wanted_call(task.apis[0]) if task.apis else None
        if wanted is not None:
            found |= hub_match(code, wanted).metrics
        return found
