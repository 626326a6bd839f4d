"""Programs with the blame and kind that they should get, in an image with torch, transformers and a stand-in hub."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tiers import sandbox_of

from kohai.config import SandboxConfig
from kohai.sandbox import Program

FOLDER = Path(__file__).parent / "cases"
OTHERS = Path(os.environ.get("SANDBOX_CASES", "../shared/sandbox_cases/cases.jsonl"))
KNOWN_AMISS = "modle_x=1"  # an argument that transformers takes and never reads: nothing at run time tells

pytestmark = pytest.mark.hub


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", [FOLDER / "programs.jsonl", OTHERS], ids=["ours", "others"])
def test_blame_and_kind(path: Path) -> None:
    """Every blame, and 95 % of the kinds. Needs `kohai image build tests/cases/image.yaml`."""
    if not path.exists():
        pytest.skip("no other cases: name a file with SANDBOX_CASES")
    cases = [json.loads(line) for line in path.read_text().splitlines()]
    config = SandboxConfig(image=str(FOLDER / "image.yaml"))
    with sandbox_of("T2", config) as box:
        outcomes = box.execute([Program(case["code"]) for case in cases])
    pairs = list(zip(cases, outcomes, strict=True))
    wrong = [(case, outcome) for case, outcome in pairs if case["blame"] != outcome.blame]
    assert [(case, outcome) for case, outcome in wrong if KNOWN_AMISS not in case["code"]] == []
    kinds = sum(case["kind"] == outcome.kind for case, outcome in pairs) / len(pairs)
    assert kinds >= 0.95, [(case, outcome) for case, outcome in pairs if case["kind"] != outcome.kind]
