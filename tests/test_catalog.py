"""Reading a package, resolving names in it, finding and showing its apis."""

import textwrap

import catalog_package
import pytest

from kohai.catalog import Catalog, Retriever, read_package, render
from kohai.catalog.retriever import tokens
from kohai.errors import DataError


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    return read_package(catalog_package.write(tmp_path_factory.mktemp("package")))


def _package(folder, **files):
    root = folder / "p"
    root.mkdir()
    for name, text in {"__init__": "", **files}.items():
        (root / f"{name}.py").write_text(textwrap.dedent(text))
    return root


def test_public_apis_have_the_ids_by_which_code_reaches_them(catalog):
    """What a private module defines is public under its re-export; private names and unlisted ones are hidden."""
    ids = {api.id for api in catalog.apis}
    assert {"depot.open_depot", "depot.Depot", "depot.Depot.fresh", "depot.crates.pack", "depot.trips.Trip.load"} <= ids
    assert not ids & {"depot._base.open_depot", "depot.crates._private", "depot._base.hidden_helper"}
    hidden = {api.id for api in catalog.hidden}
    assert {"depot.crates._private", "depot._base.hidden_helper", "depot.Depot.__enter__"} <= hidden


def test_kinds(catalog):
    """Functions, methods, classes, enums and exceptions are told apart."""
    kinds = {api.id: api.kind for api in catalog.apis}
    assert kinds["depot.crates.pack"] == "function"
    assert kinds["depot.crates.Crate.relabel"] == "method"
    assert kinds["depot.crates.Crate"] == "class"
    assert kinds["depot.crates.Size"] == kinds["depot.crates.Colour"] == "enum"
    assert kinds["depot.trips.TripError"] == "exception"


def test_signature_and_parameters(catalog):
    """The signature is as written, parameters have kinds, defaults and annotations with ids; `self` is gone."""
    pack = catalog.get("depot.crates.pack")
    assert pack.signature.startswith("(depot: Depot, *, label: str, size: Size = Size.SMALL, weight: float = 1.0")
    assert pack.signature.endswith("-> Crate")
    by_name = {item.name: item for item in pack.parameters}
    assert by_name["depot"].annotation == "depot.Depot"
    assert (by_name["size"].kind, by_name["size"].annotation) == ("keyword_only", "depot.crates.Size")
    assert (by_name["size"].default, by_name["label"].default) == ("Size.SMALL", None)
    assert by_name["mode"].annotation == "Literal['air', 'sea']"
    assert (pack.returns, pack.summary) == ("depot.crates.Crate", "Pack a new crate. Then it stands in the depot.")
    relabel = catalog.get("depot.crates.Crate.relabel")
    assert [(item.name, item.kind) for item in relabel.parameters] == [("label", "positional_only")]
    assert relabel.signature == "(label: str, /) -> Self"
    assert relabel.returns == "depot.crates.Crate"
    join = catalog.get("depot.crates.join")
    assert [item.kind for item in join.parameters] == ["var_positional", "keyword_only", "var_keyword"]


def test_construction_comes_from_init_fields_or_bases(catalog):
    """Dataclass fields (inherited first), named tuples, plain `__init__`, and the exception's `*args`."""
    names = {api.id: [item.name for item in api.parameters] for api in catalog.apis if api.kind != "function"}
    assert names["depot.crates.Crate"] == ["id", "label", "size", "note", "tags"]
    assert names["depot.crates.Spot"] == ["row", "shelf"]  # its property is no field
    assert names["depot.Depot"] == ["path", "create"]
    assert names["depot.trips.TripError"] == ["args"]
    assert catalog.get("depot.crates.Spot").parameters[1].default == "'A'"


def test_members(catalog):
    """An enum's members; a class's public attributes with types, inherited ones first, properties included."""
    assert catalog.get("depot.crates.Size").members == ("SMALL", "LARGE")
    crate = ("id: int", "label: str", "size: depot.crates.Size", "note: str | None", "tags: tuple[str, ...]")
    assert catalog.get("depot.crates.Crate").members == crate
    assert catalog.get("depot.Depot").members == ("path: str", "name: str")


def test_context_managers_and_coroutines_say_so(catalog):
    """`returns` is what a call gives: a manager for @contextmanager, a coroutine for `async def`."""
    assert catalog.get("depot.open_depot").returns == "AbstractContextManager[depot.Depot]"
    assert catalog.get("depot.trips.start").returns == "Coroutine[depot.trips.Trip]"


def test_open_marks_what_the_source_does_not_tell(catalog):
    """Unknown decorators, foreign bases and `__getattr__` leave names or parameters open; plain ones do not."""
    assert {"depot.trips.wound()", "depot.trips.Foreign", "depot.trips.Foreign()", "depot.trips.Loose"} <= catalog.open
    assert not {"depot.trips.cached()", "depot.crates.Crate", "depot.crates.Crate()", "depot.Depot"} & catalog.open


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("depot.open_depot", "depot.open_depot"),
        ("depot._base.open_depot", "depot.open_depot"),
        ("depot.CrateSize", "depot.crates.Size"),
        ("depot.trips.Crate", "depot.crates.Crate"),
        ("depot.crates.Depot.fresh", "depot.Depot.fresh"),
        ("depot.Depot.close", "depot._base._Closing.close"),
        ("depot.open_depot().close", "depot._base._Closing.close"),
        ("depot.Depot.fresh().__enter__", "depot.Depot.__enter__"),
        ("depot.crates.pack().relabel().twin", "depot.crates.Crate.twin"),
        ("depot.crates.find().twin", "depot.crates.Crate.twin"),
        ("depot.crates.every()[].relabel", "depot.crates.Crate.relabel"),
        ("depot.crates.every()[0].relabel", "depot.crates.Crate.relabel"),
        ("depot.crates.pair()[0].relabel", "depot.crates.Crate.relabel"),
        ("depot.crates.by_label()[.].relabel", "depot.crates.Crate.relabel"),
        ("depot.crates.Crate().size.next", "depot.crates.Size.next"),
        ("depot.crates.Size", "depot.crates.Size"),
        ("depot.crates.nothing", None),
        ("depot.crates.pair()[1].relabel", None),
        ("depot.crates.Size.SMALL", None),
        ("depot.crates.date", None),
        ("depot.crates", None),
        ("print", None),
        ("?.relabel", None),
        ("", None),
    ],
)
def test_resolve_call(catalog, name, expected):
    """Re-exports, aliases, inheritance and results of calls lead to the defining api; anything else to None."""
    found = catalog.resolve_call(name)
    assert (found.id if found else None) == expected
    assert catalog.resolve(name) == found


def test_json_keeps_everything(catalog):
    """A catalog read back is equal; text that is none is a DataError."""
    assert Catalog.from_json(catalog.to_json()) == catalog
    for text in ("{", "{}", "[]", '{"apis": 3, "hidden": []}'):
        with pytest.raises(DataError, match=r"catalog\.json"):
            Catalog.from_json(text)


def test_names_keep_only_these_modules(tmp_path):
    """`names` hides the other modules' apis without forgetting them; an unknown one is named."""
    root = catalog_package.write(tmp_path)
    some = read_package(root, ["depot.trips"])
    assert {api.id.split(".")[1] for api in some.apis} == {"trips"}
    assert some.resolve("depot.open_depot") is not None
    with pytest.raises(DataError, match=r"no module 'depot\.boats'"):
        read_package(root, ["depot.boats"])


def test_a_file_that_does_not_parse_is_named(tmp_path):
    """The error names file and line."""
    with pytest.raises(DataError, match=r"bad\.py:2: not Python"):
        read_package(_package(tmp_path, bad="x = 1\ndef f(:\n"))


def test_no_package(tmp_path):
    """A missing folder and one without Python files are one clear error."""
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(DataError, match="no Python package"):
            read_package(path)


def test_nothing_is_executed(tmp_path):
    """Reading a package whose import would leave a mark leaves none."""
    mark = tmp_path / "mark"
    read_package(_package(tmp_path, a=f"open({str(mark)!r}, 'w')\ndef f(): ...\n"))
    assert not mark.exists()


def test_odd_packages_are_read(tmp_path):
    """Star re-exports, alias circles, names that shadow builtins, conditional definitions: read, not refused."""
    root = _package(
        tmp_path,
        a="from p.b import *\nfrom p import c as d\n",
        b="def list() -> list[int]: ...\ndef f() -> 'Missing': ...\nx, y = 1, 2\n",
        c="from p.c import e\ntry:\n    import q\nexcept ImportError:\n    q = None\nif True:\n    def g(): ...\n",
    )
    catalog = read_package(root)
    assert catalog.resolve("p.a.f").id == "p.b.f"
    assert catalog.resolve("p.a.d.g").id == "p.c.g"
    assert catalog.get("p.b.list").returns == "list[int]"
    assert catalog.resolve("p.c.e") is None


def test_tokens_split_and_stem():
    """Identifiers split at underscores and capitals; plural, -ing, -ed and final e fall off; stop words go."""
    assert tokens("The OrderDraft's pull_up of orders") == ["order", "draft", "pull", "order"]
    assert set(tokens("pack packs packing packed")) == {"pack"}
    assert set(tokens("move moves moving moved")) == {"mov"}
    assert set(tokens("ship shipping shipped ships")) == {"ship"}
    assert tokens("status address HTTPServer2") == ["status", "address", "http", "server", "2"]


def test_retriever_finds_and_orders(catalog):
    """The named action comes first; enums, exceptions and mere results are no candidates; ties go by id."""
    retriever = Retriever(catalog)
    assert retriever.search("Please pack a crate with this label", 3)[0].id == "depot.crates.pack"
    assert retriever.search("Start the trip", 1)[0].id == "depot.trips.start"
    ids = [api.id for api in retriever.candidates]
    assert "depot.trips.Client" in ids
    assert not {"depot.crates.Size", "depot.trips.TripError", "depot.crates.Spot", "depot.trips.Trip"} & set(ids)
    assert [api.id for api in retriever.search("xylophone", 4)] == sorted(ids)[:4]
    assert len(retriever.search("crate", 999)) == len(ids)


def test_retriever_ignores_what_a_call_raises(catalog):
    """Words of the Raises section do not count."""
    assert Retriever(catalog).search("zebra", 1)[0].id != "depot.crates.pack"


def test_retriever_of_an_empty_catalog():
    """No candidates, no results, no error."""
    assert Retriever(Catalog("p", ())).search("anything", 3) == []


SHOWN = {
    "depot.open_depot": """
        with open_depot(path: str = 'depot.db') as depot: Open the depot.
          from depot import open_depot
          Depot: path, name, fresh(), version()""",
    "depot.crates.every": """
        crates.every(depot, colours: list[Colour] = []) -> list[Crate]
          from depot import crates
          from depot.crates import Colour (RED, BLUE)
          Crate: id, label, size, note, tags, relabel(), twin()""",
    "depot.Depot.fresh": """
        with Depot.fresh(path: str) as depot: Make a new one.
          from depot import Depot
          Depot: path, name, fresh(), version()""",
    "depot.trips.Client.ask": """
        client.ask(question: str) -> str: Ask a question.
          from depot.trips import Client
          client = Client(...)""",
    "depot.trips.Trip.load": """
        await trip.load(crate) -> Crate: Load a crate.
          from depot import trips
          trip = await trips.start(...)
          Crate: id, label, size, note, tags, relabel(), twin()""",
    "depot.crates.Crate.relabel": """
        crate.relabel(label: str, /) -> Self: Change the label.
          from depot import crates
          crate = crates.pack(...)
          Crate: id, label, size, note, tags, relabel(), twin()""",
}


@pytest.mark.parametrize("api_id", SHOWN)
def test_render(catalog, api_id):
    """Signature and one sentence; then a line each: imports, enum members, way to the instance, what the call gives."""
    assert render(catalog.get(api_id), catalog) == textwrap.dedent(SHOWN[api_id]).strip()


def test_what_is_awaited(tmp_path):
    """A coroutine is, an async generator is not, whatever it gives."""
    text = """
        from collections.abc import AsyncIterator
        class Row: ...
        async def stream() -> AsyncIterator[Row]:
            yield Row()
        async def fetch() -> Row: ...
        """
    catalog = read_package(_package(tmp_path, rows=text))
    assert catalog.get("p.rows.stream").returns == "AsyncIterator[p.rows.Row]"
    assert catalog.get("p.rows.fetch").returns == "Coroutine[p.rows.Row]"
