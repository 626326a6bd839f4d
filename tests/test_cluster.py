"""Programs on a Ray cluster: the same outcomes as here, whatever dies meanwhile; where Ray is not, on a stand-in."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kohai.config import SandboxConfig
from kohai.errors import DataError, ToolError
from kohai.records import Execution
from kohai.sandbox import Program, Sandbox, actor, cluster, parcel
from kohai.sandbox.layers import Layers

FAST = {"cpu_seconds": 1.0, "wall_seconds": 5.0, "processes": 2, "unsafe": True, "cold_share": 0.0}
SHAPES = [
    "print({n})",
    "import nothing_of_this_name_{n}",
    "x = {n}\nx / 0",
    "print(undefined_{n})",
    "raise SystemExit({n} % 3)",
    "import json\njson.no_such_{n}",
    "for {n} in x: pass",
    "print(open('seed').read() + '{n}')",
    "import os\nos.abort()",
]


def config(**rest: object) -> SandboxConfig:
    return SandboxConfig.model_validate(FAST | rest)


def mixed(count: int) -> list[Program]:
    """Programs of many outcomes, in an order that no batch knows."""
    made = [Program(SHAPES[n % len(SHAPES)].format(n=n), files={"seed": f"{n}:"}) for n in range(count)]
    random.Random(7).shuffle(made)
    return made


def told(outcomes: list[Execution]) -> list[tuple[object, ...]]:
    return [(o.kind, o.blame, o.exception, o.line, o.stdout, o.state, o.image, o.tier) for o in outcomes]


# Without Ray


class GoneError(Exception):
    """The stand-in's RayError."""


class BugError(GoneError):
    """The stand-in's RayTaskError."""


class StandIn:
    """As much of Ray as the cluster uses: calls run where they are waited for; `act` plays the actors."""

    exceptions = SimpleNamespace(RayError=GoneError, RayTaskError=BugError)

    def __init__(self, act: Callable[[list[Program]], Any]) -> None:
        self.act = act
        self.started = self.killed = 0

    def remote(self, **_: object) -> Callable[..., Any]:
        """Of a class: what makes actors of it."""

        def method(call: Callable[..., Any]) -> SimpleNamespace:
            return SimpleNamespace(remote=lambda *arguments: lambda: call(*arguments))

        def start(_setup: object) -> SimpleNamespace:
            self.started += 1
            return SimpleNamespace(
                open=method(lambda: self.act([])),
                run=method(lambda programs, _: self.act([program for program, _ in programs])),
                close=method(lambda: None),
            )

        return lambda _kind: SimpleNamespace(remote=start)

    def get(self, call: Callable[[], Any]) -> Any:
        """Makes the call."""
        return call()

    def put(self, value: object) -> object:
        """The value itself."""
        return value

    def wait(self, *_: object, **__: object) -> None:
        """Nothing to wait for."""

    def kill(self, _actor: object) -> None:
        """Counted."""
        self.killed += 1

    def is_initialized(self) -> bool:
        """It is."""
        return True

    def cluster_resources(self) -> dict[str, float]:
        """Two cores."""
        return {"CPU": 2.0}


def stand_in(monkeypatch: pytest.MonkeyPatch, act: Callable[[list[Program]], Any]) -> tuple[StandIn, cluster.Cluster]:
    ray = StandIn(lambda programs: act(programs) if programs else Layers())
    monkeypatch.setattr(cluster, "connect", lambda _config: ray)
    return ray, cluster.Cluster(config(), "", (), None)


def echo(programs: list[Program]) -> list[Execution]:
    return [Execution("ok", "none", stdout=program.code) for program in programs]


def submit(made: cluster.Cluster, code: str) -> Future[Execution]:
    return made.submit(Program(code), None, lambda _outcome: None)


def results(futures: list[Future[Execution]]) -> list[Execution]:
    return [future.result(20) for future in futures]


def test_a_program_that_kills_its_actor_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was lost runs again by itself: three actors for the one, no harm to the rest, each outcome at its place."""
    calls: list[list[str]] = []

    def act(programs: list[Program]) -> list[Execution]:
        calls.append([program.code for program in programs])
        time.sleep(0.01)
        if any(program.code == "17" for program in programs):
            raise GoneError("killed")
        return echo(programs)

    ray, made = stand_in(monkeypatch, act)
    outcomes = results([submit(made, f"{n}") for n in range(60)])
    made.close()
    assert [outcome.stdout for outcome in outcomes] == ["" if n == 17 else f"{n}" for n in range(60)]
    assert (outcomes[17].kind, outcomes[17].blame) == ("sandbox_failure", "environment")
    assert "3 times" in outcomes[17].evidence
    assert sum("17" in call for call in calls) == cluster.TRIES
    assert [call for call in calls if "17" in call][1:] == [["17"]] * (cluster.TRIES - 1)
    assert max(map(len, calls)) <= cluster.BATCH
    assert ray.started == 2 + cluster.TRIES
    assert ray.killed == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(DataError("bad fixture"), DataError), (BugError("a fault of ours"), BugError), (OSError("full"), OSError)],
)
def test_an_error_of_an_actor_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch, answer: Exception, kind: type[Exception]
) -> None:
    """Returned or raised, it ends all that waits, and what comes later."""

    def act(programs: list[Program]) -> Exception:
        if isinstance(answer, DataError):
            return answer
        raise answer

    _, made = stand_in(monkeypatch, act)
    futures = [submit(made, f"{n}") for n in range(20)]
    for future in (*futures, submit(made, "late")):
        with pytest.raises(kind, match=str(answer)):
            future.result(20)
    made.close()


def test_actors_that_die_at_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in a row end the attempt with one error."""

    def dies(_: list[Program]) -> None:
        raise GoneError("out of memory")

    ray = StandIn(dies)
    monkeypatch.setattr(cluster, "connect", lambda _config: ray)
    made = cluster.Cluster(config(processes=1), "", (), None)
    with pytest.raises(ToolError, match="died 3 times at its start: out of memory"):
        made.layers()
    assert ray.started == 3
    made.close()


def test_cancelled_programs_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody waits for any more is passed over."""
    ran: list[str] = []
    cancelled = threading.Event()

    def act(programs: list[Program]) -> list[Execution]:
        ran.extend(program.code for program in programs)
        cancelled.wait(20)
        return echo(programs)

    _, made = stand_in(monkeypatch, act)
    futures = [submit(made, f"{n}") for n in range(100)]
    dropped = [n for n, future in enumerate(futures) if n % 2 and future.cancel()]
    cancelled.set()
    kept = [future.result(20).stdout for n, future in enumerate(futures) if n not in dropped]
    made.close()
    assert kept == [f"{n}" for n in range(100) if n not in dropped]
    assert len(dropped) > 30
    assert not {f"{n}" for n in dropped} & set(ran)


def test_outcomes_are_remembered_by_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the tier of the actors; an outcome of another tier is given, not kept."""

    def act(programs: list[Program]) -> list[Execution]:
        return [replace(e, tier="T1" if e.stdout == "other" else "T0") for e in echo(programs)]

    ray = StandIn(lambda programs: act(programs) if programs else Layers())
    monkeypatch.setattr(cluster, "connect", lambda _config: ray)
    counts: list[int] = []
    programs = [Program("a"), Program("other"), Program("b")]
    with Sandbox(config(engine="ray", cache=tmp_path / "outcomes.sqlite")) as box:
        first = box.execute(programs, counts.append)
        second = box.execute(programs, counts.append)
    assert [outcome.stdout for outcome in first] == ["a", "other", "b"]
    assert [outcome.cached for outcome in first + second] == [False] * 3 + [True, False, True]
    assert counts == [1, 2, 3] * 2


def test_an_actor_needs_no_path_of_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An image's files, packages and fixtures are there by their content: the actor runs after all is deleted here."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    home = tmp_path / "home"
    (home / "images" / "files").mkdir(parents=True)
    (home / "src" / "billing").mkdir(parents=True)
    (home / "private").mkdir()
    (home / "images" / "files" / "rates.csv").write_text("7")
    (home / "images" / "own.yaml").write_text("name: own\npaths: [../src/billing]\nfiles: files\npreload: [json]\n")
    (home / "src" / "billing" / "__init__.py").write_text("RATE = 5")
    (home / "private" / "__init__.py").write_text("KEY = 3")
    (home / "other.yaml").write_text("name: other\npaths: [src/billing]\n")
    wanted = config(
        image=str(home / "images" / "own.yaml"), other_image=str(home / "other.yaml"), images=Path("/somewhere")
    )
    with Sandbox(wanted, [home / "private"]) as box:
        digest = box.image.digest
    setup = parcel.prepare(wanted, digest, [home / "private"], None)
    home.rename(tmp_path / "elsewhere")
    assert str(tmp_path) not in repr(setup)
    runner = actor.Runner(setup)
    layers = runner.open()
    assert isinstance(layers, Layers), layers
    code = "import billing, private\nprint(billing.RATE, private.KEY, open('rates.csv').read())"
    outcome = runner.run([(Program(code), None)], {})[0]
    runner.close()
    assert (outcome.kind, outcome.stdout) == ("ok", "5 3 7\n")
    assert outcome.image == digest


def test_what_a_killed_actor_left_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its folder, with its sandbox's inside, by the next actor of the machine; one that is in use, or new, stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os; from kohai.config import SandboxConfig; from kohai.sandbox import actor, image, layers, parcel\n"
        "digest = image.open_image('plain', actor.Path('.')).digest\n"
        "runner = actor.Runner(parcel.prepare(SandboxConfig(unsafe=True), digest, (), None))\n"
        "assert isinstance(runner.open(), layers.Layers)\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=os.environ | {"TMPDIR": str(tmp_path)})
    (left,) = tmp_path.iterdir()
    assert any(path.name.startswith("kohai-box-") for path in left.iterdir())
    first, held = actor.own_folder()
    assert {left, first} == set(tmp_path.iterdir())
    for folder in (left, first):
        os.utime(folder / ".lock", (0, 0))
    second, other = actor.own_folder()
    assert {first, second} == set(tmp_path.iterdir())
    held.close()
    other.close()


def test_an_actor_with_another_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes of two versions of Python are not mixed; the error names the node."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    runner = actor.Runner(parcel.prepare(config(), "another digest", (), None))
    error = runner.open()
    runner.close()
    assert isinstance(error, ToolError)
    assert os.uname().nodename in str(error)
    assert "of one version" in str(error)


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an engine that there is not is refused like any wrong value."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ToolError, match=r"pip install 'kohai\[ray\]'"):
        Sandbox(config(engine="ray"))


def test_ray_is_imported_by_none_that_does_not_ask() -> None:
    """The local engine never touches it."""
    code = (
        "import sys; from kohai.config import SandboxConfig; from kohai.sandbox import Program, Sandbox\n"
        "with Sandbox(SandboxConfig(unsafe=True)) as box: box.execute([Program('1')])\n"
        "assert 'ray' not in sys.modules and 'kohai.sandbox.cluster' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# With Ray

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: kohai[ray]")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes with a core each, beside a head that runs no programs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        found.add_node(num_cpus=1)
    yield found
    ray.shutdown()
    found.shutdown()


def on(nodes: Any, **rest: object) -> SandboxConfig:
    return config(engine="ray", ray_address=nodes.address, **rest)


def actor_processes() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::Runner"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.ray
@needs_ray
def test_an_actor_killed_in_the_middle_loses_nothing(nodes: Any) -> None:
    """As many outcomes as programs, in their order, equal to the local engine's; no actor is left afterwards."""
    programs = mixed(270)
    killed: list[int] = []
    counts: list[int] = []

    def on_done(count: int) -> None:
        counts.append(count)
        if count >= 60 and not killed:
            killed.append(actor_processes()[0])
            os.kill(killed[0], signal.SIGKILL)

    with Sandbox(config()) as box:
        here = told(box.execute(programs))
    with Sandbox(on(nodes)) as box:
        there = told(box.execute(programs, on_done))
        assert killed[0] not in actor_processes()
    assert there == here
    assert len({kind for kind, *_ in here}) >= 7
    assert counts == list(range(1, len(programs) + 1))
    deadline = time.monotonic() + 20
    while actor_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert actor_processes() == []


@pytest.mark.ray
@needs_ray
def test_a_lost_node_keeps_no_programs(nodes: Any) -> None:
    """The other node runs what it had; with its core gone, no actor waits with programs in hand."""
    extra = nodes.add_node(num_cpus=1)
    programs = mixed(150)
    lost: list[int] = []

    def on_done(count: int) -> None:
        if count >= 40 and not lost:
            lost.append(count)
            nodes.remove_node(extra, allow_graceful=False)

    with Sandbox(config()) as box:
        here = told(box.execute(programs))
    with Sandbox(on(nodes, processes=3)) as box:
        assert told(box.execute(programs, on_done)) == here


@pytest.mark.ray
@needs_ray
def test_fixtures_and_states_reach_the_actors(nodes: Any, tmp_path: Path) -> None:
    """A SQL script, a folder and a file; a changed file is another fixture; a wrong one is the usual error."""
    script, folder, single = tmp_path / "start.sql", tmp_path / "folder", tmp_path / "one.txt"
    script.write_text("CREATE TABLE t (a); INSERT INTO t VALUES (41);")
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "deep" / "x").write_bytes(b"\x00\xff")
    single.write_text("single")
    add = "import sqlite3\nc = sqlite3.connect('app.db')\nc.execute('update t set a = a + 1')\nc.commit()"
    show = "import os\nprint(open('deep/x', 'rb').read(), os.path.isdir('deep/empty'))"
    programs = [Program(add, script), Program(show, folder), Program("print(open('one.txt').read())", single)] * 5
    with Sandbox(config(), state="app.db") as box:
        here = told(box.execute(programs))
    with Sandbox(on(nodes), state="app.db") as box:
        assert told(box.execute(programs)) == here
        single.write_text("changed it")
        assert box.execute(programs[2:3])[0].stdout == "changed it\n"
        with pytest.raises(DataError, match="no such fixture"):
            box.execute([Program("print(1)"), Program("print(1)", tmp_path / "none")])
    assert [kind for kind, *_ in here] == ["ok"] * 15


@pytest.mark.ray
@needs_ray
def test_the_command_starts_a_cluster_of_its_own(tmp_path: Path) -> None:
    """`--engine ray` without an address; SIGTERM ends it like any command, with what it has done remembered."""
    source, out = tmp_path / "programs.jsonl", tmp_path / "outcomes.jsonl"
    source.write_text("".join(json.dumps({"code": f"print({n})"}) + "\n" for n in range(30)))
    command = [sys.executable, "-m", "kohai", "execute", str(source), "--out", str(out), "--engine", "ray"]
    settings = ["--set", "processes=2", "--set", "unsafe=true"]
    subprocess.run([*command, *settings], check=True, timeout=100, capture_output=True)
    outcomes = [json.loads(line) for line in out.read_text().splitlines()]
    assert [outcome["stdout"] for outcome in outcomes] == [f"{n}\n" for n in range(30)]
    source.write_text("".join(json.dumps({"code": f"import time\ntime.sleep(1)\n{n}"}) + "\n" for n in range(60)))
    process = subprocess.Popen([*command, *settings], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not actor_processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    assert "the same command goes on where it stopped" in process.communicate(timeout=30)[1]
    assert process.returncode == 130
