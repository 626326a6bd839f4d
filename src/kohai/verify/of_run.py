"""Static checks of a run's programs: against the run's catalog, and the docs that each task's prompt showed."""

from __future__ import annotations

from dataclasses import dataclass

from kohai.catalog import Catalog
from kohai.records import Task, Verdict
from kohai.verify import check
from kohai.workspace import Workspace


@dataclass(frozen=True)
class RunChecks:
    """`docs`: per task, the text of the docs in its prompt."""

    catalog: Catalog
    docs: dict[str, str]

    @classmethod
    def of(cls, workspace: Workspace) -> RunChecks:
        """Reads what the stage `prepare` wrote."""
        catalog = Catalog.from_json(workspace.path("prepare", "catalog.json").read_text(encoding="utf-8"))
        texts: dict[str, str] = workspace.read_json("prepare/docs.json")
        return cls(catalog, {p.task_id: "\n".join(texts[api] for api in p.apis) for p in workspace.prompts()})

    def check(self, code: str, task: Task) -> list[Verdict]:
        """One verdict for each of `verify.CRITERIA`."""
        return check(code, self.catalog, task.instruction, self.docs[task.id])
