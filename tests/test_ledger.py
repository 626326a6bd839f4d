"""The verdict cache."""

import multiprocessing
import sqlite3
import threading

import pytest

from kohai.errors import DataError, WorkspaceError
from kohai.ledger import Ledger


def test_what_was_put_is_got_after_reopening(tmp_path):
    """Values are JSON; the folder is made; an unknown key is None."""
    path = tmp_path / "deep" / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put("a", {"text": "ja 後輩", "list": [1, None]})
        assert ledger.get("b") is None
    with Ledger(path) as ledger:
        assert ledger.get("a") == {"text": "ja 後輩", "list": [1, None]}
        assert len(ledger) == 1


def test_the_last_put_wins(tmp_path):
    """One row a key."""
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put("a", 1)
        ledger.put("a", 2)
        assert (ledger.get("a"), len(ledger)) == (2, 1)


def test_a_put_is_seen_by_others_at_once(tmp_path):
    """A run that is killed after a put has lost nothing."""
    with Ledger(tmp_path / "ledger.sqlite") as writer, Ledger(tmp_path / "ledger.sqlite") as reader:
        writer.put("a", 1)
        assert reader.get("a") == 1


def test_closing_twice_is_harmless(tmp_path):
    """As the docstring says."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.close()
    ledger.close()


def _write(path, worker, gate):
    gate.wait()
    with Ledger(path) as ledger:
        for number in range(40):
            ledger.put(f"{worker}-{number}", number)


def test_several_processes_write_at_once(tmp_path):
    """Four processes open a new ledger at the same moment and write 40 values each; none is lost."""
    path = tmp_path / "ledger.sqlite"
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(4)
    workers = [context.Process(target=_write, args=(path, worker, gate)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    with Ledger(path) as ledger:
        assert len(ledger) == 160


def test_a_lock_that_is_let_go_soon_is_waited_for(tmp_path):
    """Another process makes the file at this moment and holds it for 0.3 s."""
    path = tmp_path / "ledger.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE something (x)")
    timer = threading.Timer(0.3, other.execute, ["COMMIT"])
    timer.start()
    with Ledger(path) as ledger:
        ledger.put("a", 1)
        assert ledger.get("a") == 1
    timer.join()
    other.close()


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path):
    """The error says what to do, and nothing is overwritten."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(DataError, match=r"ledger.sqlite: not a usable ledger .*move it away"):
        Ledger(path)
    assert path.read_bytes() == b"not a database " * 100


def test_a_damaged_page_is_reported(tmp_path):
    """Damage behind the header shows at the first read that meets it."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        for number in range(2000):
            ledger.put(f"{number:040d}", "x" * 50)
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xff" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="not a usable ledger"), Ledger(path) as ledger:
        ledger.get(f"{1:040d}")


def test_a_foreign_table_is_refused(tmp_path):
    """Somebody else's SQLite file is not a ledger."""
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE verdicts (who TEXT, what TEXT)")
    with pytest.raises(DataError, match="not a ledger's"):
        Ledger(path)


def test_another_format_is_refused(tmp_path):
    """A ledger of a later version says so."""
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(DataError, match=r"another version of Kohai \(format 9"):
        Ledger(path)


def test_a_value_that_is_not_json_is_reported(tmp_path):
    """Somebody wrote into it by hand."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put("a", 1)
        with sqlite3.connect(path) as database:
            database.execute("UPDATE verdicts SET value = 'oops'")
        with pytest.raises(DataError, match="is not JSON"):
            ledger.get("a")


def test_a_folder_in_its_place_is_reported(tmp_path):
    """Not a crash of SQLite."""
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(WorkspaceError, match="cannot be used"):
        Ledger(tmp_path / "ledger.sqlite")
