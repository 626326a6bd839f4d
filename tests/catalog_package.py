"""A small package that the catalog's and the checks' tests read; written to a folder, never imported."""

from pathlib import Path

FILES = {
    "__init__.py": '''
        """Depot."""
        from depot import crates, trips
        from depot._base import Depot, open_depot
        from depot.crates import Size as CrateSize
        __all__ = ["CrateSize", "Depot", "crates", "open_depot", "trips"]
        ''',
    "_base.py": '''
        from __future__ import annotations
        import contextlib
        from collections.abc import Iterator
        from contextlib import contextmanager


        class _Closing:
            def close(self) -> None:
                """Close it."""


        class Depot(_Closing):
            """An open depot."""

            def __init__(self, path: str = "depot.db", *, create: bool = False) -> None:
                self.path = path
                self._rows = {}

            def __enter__(self) -> Depot:
                return self

            def __exit__(self, *details) -> None:
                self.later = 1

            @classmethod
            def fresh(cls, path: str) -> Depot:
                """Make a new one."""

            @staticmethod
            def version() -> str: ...

            @property
            def name(self) -> str: ...


        @contextmanager
        def open_depot(path: str = "depot.db") -> Iterator[Depot]:
            """Open the depot. It closes at the end of the block."""
            yield Depot(path)


        def hidden_helper(): ...
        ''',
    "crates.py": '''
        """Crates."""
        from __future__ import annotations
        import enum
        from dataclasses import dataclass, field
        from datetime import date
        from typing import Literal, NamedTuple, Optional, Self
        from depot._base import Depot

        LIMIT: int = 9


        class Size(enum.Enum):
            """How big."""
            SMALL = 1
            LARGE = 2

            def next(self) -> Size: ...


        class Colour(enum.StrEnum):
            RED = enum.auto()
            BLUE = enum.auto()


        @dataclass(frozen=True)
        class Thing:
            id: int


        @dataclass(frozen=True)
        class Crate(Thing):
            """A crate."""
            label: str
            size: Size
            note: str | None = None
            tags: tuple[str, ...] = field(default=())

            def relabel(self, label: str, /) -> Self:
                """Change the label."""

            def twin(self) -> "Crate": ...


        class Spot(NamedTuple):
            row: int
            shelf: str = "A"

            @property
            def place(self) -> str: ...


        def pack(depot: Depot, *, label: str, size: Size = Size.SMALL, weight: float = 1.0, fragile: bool = False,
                 due: date | None = None, mode: Literal["air", "sea"] = "sea") -> Crate:
            """Pack a new crate. Then it stands in the depot.

            Args:
                label: Its name.

            Raises:
                ValueError: If zebra.
            """


        def find(depot: Depot, label: str) -> Optional[Crate]: ...
        def every(depot: Depot, colours: list[Colour] = []) -> list[Crate]: ...
        def pair(depot: Depot) -> tuple[Crate, Spot]: ...
        def by_label(depot: Depot) -> dict[str, Crate]: ...
        def join(*crates: Crate, sep: str = "-", **options: int) -> str: ...
        def first(crate: Crate, /, count: int) -> int: ...
        def anything(value): ...


        def _private(depot: Depot) -> None: ...
        ''',
    "trips.py": '''
        """Trips."""
        import functools
        from typing import overload
        import somewhere
        from depot.crates import Crate, Size
        from depot import _base


        def twist(function):
            return function


        @twist
        def wound(a: int) -> int: ...

        @functools.cache
        def cached(a: int) -> int: ...

        @overload
        def split(value: int) -> int: ...
        @overload
        def split(value: str) -> str: ...
        def split(value): ...


        class TripError(ValueError):
            """A trip failed."""


        class Trip:
            """A trip under way."""
            driver: str

            def __init__(self, to: str): ...
            async def __aenter__(self) -> "Trip": ...
            async def __aexit__(self, *details) -> None: ...
            def __iter__(self): ...
            async def load(self, crate: Crate) -> Crate:
                """Load a crate."""


        class Foreign(somewhere.Base):
            def known(self) -> int: ...


        class Loose:
            def __getattr__(self, name): ...


        class Client:
            """Talks to the depot's office."""

            def __init__(self, url: str): ...
            def ask(self, question: str) -> str:
                """Ask a question."""


        async def start(depot: _base.Depot, to: str) -> Trip:
            """Start a trip."""
        ''',
}


def write(folder: Path) -> Path:
    """Writes the package `depot` into a folder and gives its path."""
    import textwrap

    root = folder / "depot"
    root.mkdir()
    for name, text in FILES.items():
        (root / name).write_text(textwrap.dedent(text).lstrip())
    return root
