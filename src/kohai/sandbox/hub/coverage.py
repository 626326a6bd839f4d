"""How much of a catalogue the replicas cover, by library and by documented class, with the causes of the rest."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from kohai.sandbox.hub.catalogue import Entry
from kohai.sandbox.hub.replicas import Replicas

N_CAUSES = 30
UNBUILT = "not built yet"


def coverage(entries: Iterable[Entry], replicas: Replicas) -> dict[str, Any]:
    """Counts of models: `built`; of documented calls: `calls` and `calls_work`; both by library and class; causes.

    A documented call that fails on a built replica is counted as such: it names what the installed version has not, or
    what its model cannot do. `causes` are of models that are not built, `call_causes` of such calls.
    """
    total: Counter[str] = Counter()
    groups: dict[str, dict[str, Counter[str]]] = {"library": defaultdict(Counter), "class": defaultdict(Counter)}
    causes: Counter[str] = Counter()
    call_causes: Counter[str] = Counter()
    for entry in entries:
        record = replicas.record(entry.id) or {}
        built = replicas.path(entry.id).is_dir()
        total.update(models=1, built=built)
        groups["library"][entry.library].update(models=1, built=built)
        if not built:
            causes[_short(entry.why or record.get("why") or UNBUILT)] += 1
        tried: Mapping[str, str] = record.get("calls", {})
        for call in entry.calls:
            works = built and tried.get(call) == ""
            total.update(calls=1, calls_work=works)
            groups["library"][entry.library].update(calls=1, calls_work=works)
            groups["class"][_name(call)].update(calls=1, calls_work=works)
            if built and not works:
                call_causes[_short(tried.get(call, UNBUILT))] += 1
    return {
        **total,
        "by_library": {name: dict(counts) for name, counts in _sorted(groups["library"], "models")},
        "by_class": {name: dict(counts) for name, counts in _sorted(groups["class"], "calls")},
        "causes": dict(causes.most_common(N_CAUSES)),
        "call_causes": dict(call_causes.most_common(N_CAUSES)),
    }


def as_text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"{found['built']} of {found['models']} models have a replica"]
    if found.get("calls"):
        lines.append(f"{found['calls_work']} of {found['calls']} documented calls work on it")
    lines += ["", f"{'library':<26}{'built':>8}{'models':>8}"]
    lines += [f"{name:<26}{row['built']:>8}{row['models']:>8}" for name, row in found["by_library"].items()]
    if found["by_class"]:
        lines += ["", f"{'class':<44}{'work':>6}{'calls':>7}"]
        lines += [f"{name:<44}{row['calls_work']:>6}{row['calls']:>7}" for name, row in found["by_class"].items()]
    for title, key in (("not built, because", "causes"), ("documented calls that fail, because", "call_causes")):
        if found[key]:
            lines += ["", title]
            lines += [f"{count:>6}  {cause}" for cause, count in found[key].items()]
    return "\n".join(lines)


def _name(call: str) -> str:
    """The class or function of a call."""
    found = re.match(r"\s*([A-Za-z_][\w.]*)", call)
    return found[1].removesuffix(".from_pretrained") if found else "(no call)"


def _short(cause: str) -> str:
    """A cause without the names that only one model has."""
    text = re.sub(r"for '[^']*'|in /\S+|'/[^']*'|`/[^`]*`|\[[^\]]{40,}\]", "…", cause)
    return text[:110]


def _sorted(groups: Mapping[str, Counter[str]], key: str) -> list[tuple[str, Counter[str]]]:
    return sorted(groups.items(), key=lambda item: (-item[1][key], item[0]))
