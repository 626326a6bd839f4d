"""Write the task files, or check that the shipped ones are what this program writes.

python build_tasks.py --seed 7 --out tasks
python build_tasks.py --check
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "src")]

from task_builder.corpus import Corpus, summary, write


def differences(made: Path, shipped: Path) -> list[str]:
    """The files that differ between two folders or are in one only, as relative paths."""
    names = {str(path.relative_to(root)) for root in (made, shipped) for path in root.rglob("*") if path.is_file()}
    _, different, missing = filecmp.cmpfiles(made, shipped, sorted(names), shallow=False)
    return sorted([*different, *missing])


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the stockroom tasks.")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same files")
    parser.add_argument("--out", type=Path, default=HERE / "tasks", help="the folder to write to, or to check")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the files in --out")
    options = parser.parse_args()
    corpus = Corpus(options.seed)
    splits = corpus.make()
    if not options.check:
        write(splits, corpus.dumps, options.out)
        print(summary(splits))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(splits, corpus.dumps, Path(folder))
        wrong = differences(Path(folder), options.out)
    print(f"not what seed {options.seed} gives: {', '.join(wrong)}" if wrong else "the task files are up to date")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
