"""Python source as the tree that tree-sitter makes of it, also of broken source; what CodeBLEU compares of it.

Leaves out meaning: names are texts, the data flow is the one that CodeXGLUE defined, with its simplifications.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import tree_sitter
import tree_sitter_python

_LANGUAGE = tree_sitter.Language(tree_sitter_python.language())
_MAX_STEPS = 50_000  # of the data flow: each loop is read twice, so nested ones would never end
_MAX_DEPTH = 10_000
_FRAMES = 5  # Python's frames that a level of the tree takes at most
_LOOPS = frozenset({"for_statement", "while_statement"})
_ASSIGNMENTS = frozenset({"assignment", "augmented_assignment", "for_in_clause"})


Adds = tuple[tuple[str | None, int], ...]
_NONE: list[Node] = []  # the children of all leaves


@cache
def _kind(kind_id: int, field_id: int | None) -> tuple[str, str | None, bool, bool, int, Adds]:
    """Names of a kind of node and of its role, and whether it is named; whether a leaf of it is a token, its shape, and
    what it adds. There are as many as the grammar has kinds and roles.
    """
    kind = _LANGUAGE.node_kind_for_id(kind_id) or ""
    role = _LANGUAGE.field_name_for_id(field_id) if field_id else None
    is_named = _LANGUAGE.node_kind_is_named(kind_id)
    shape = hash((kind, ()))
    return kind, role, is_named, kind != "comment", shape, ((role, shape),) if is_named else ()


class Node:
    """One node: its `type`, the `role` that it is of its parent, its bytes from `start` to `end`.

    `first` to `last` are its tokens in the tree's list, `is_token` says that it is one: a leaf, or a whole string;
    `shape` is a number for its S-expression, `adds` what it adds to its parent's.
    """

    __slots__ = ("adds", "children", "end", "first", "is_token", "last", "role", "shape", "start", "type")

    def __init__(self, cursor: tree_sitter.TreeCursor, first: int) -> None:
        node = cursor.node
        assert node is not None
        self.type, self.role, is_named, self.is_token, self.shape, self.adds = _kind(node.kind_id, cursor.field_id)
        self.start, self.end = node.start_byte, node.end_byte
        self.first = self.last = first
        self.children: list[Node] = _NONE
        if node.child_count:
            self.children = []
            self.is_token = self.type == "string"
            self.shape = 0 if is_named else hash(str(node))
            self.adds = ((self.role, 0),) if is_named else ()
        elif self.type == "ERROR" or (self.start == self.end and node.is_missing):
            self.shape = hash(str(node))  # what is missing or unexpected, which the type does not say
            self.adds = ((self.role, self.shape),)

    def finish(self, last: int) -> None:
        """To be called, but of leaves, when its children are all finished; `last` is the number of tokens by then."""
        self.last = last
        inside = tuple([part for child in self.children for part in child.adds])
        self.shape = self.shape or hash((self.type, inside))
        self.adds = ((self.role, self.shape),) if self.adds else inside

    def child(self, role: str) -> Node:
        """The child of that role.

        Raises:
            UnreadableError: it has none.
        """
        for child in self.children:
            if child.role == role:
                return child
        raise UnreadableError(f"{self.type} without {role}")


@dataclass(slots=True)
class Tree:
    """A source's tree. `tokens` are the leaves in order, strings whole, comments left out.

    `subtrees` has a number for each node with children (and for the root), equal for equal S-expressions: names,
    literals and signs such as `+` do not count. The numbers are hashes, good within one process. `depth` is the number
    of levels, `n_comments` how many comments and statements that are a text alone were left out.
    """

    root: Node
    tokens: list[Node] = field(default_factory=list)
    subtrees: list[int] = field(default_factory=list)
    depth: int = 1
    n_comments: int = 0


class UnreadableError(Exception):
    """A program whose data flow can't be told."""


class Edge(NamedTuple):
    """A name at a place (the token's number), and the names and places that its value comes from."""

    name: str
    place: int
    relation: str
    names: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


def parse(source: bytes, *, without_comments: bool = False) -> Tree:
    """The tree of a source; any bytes have one. Comments and statements that are a text alone may be left out."""
    cursor = tree_sitter.Parser(_LANGUAGE).parse(source).walk()
    node = Node(cursor, 0)
    tree = Tree(node)
    tokens, subtrees = tree.tokens, tree.subtrees
    path: list[Node] = []  # the nodes that the walk is in
    marks: list[int] = []  # how many sub-trees there were before each
    string: Node | None = None  # the outermost one of them
    while True:
        while node.children is not _NONE:
            if string is None and node.type == "string":
                string = node
            path.append(node)
            marks.append(len(subtrees))
            cursor.goto_first_child()
            node = Node(cursor, len(tokens))
            path[-1].children.append(node)
        tree.depth = max(tree.depth, len(path) + 1)
        mark = len(subtrees)
        if string is None and node.is_token and path:
            tokens.append(node)
        node.last = len(tokens)
        while path:
            if without_comments and _is_comment(node):
                tree.n_comments += 1
                path[-1].children.pop()
                del tokens[node.first :], subtrees[mark:]
            if cursor.goto_next_sibling():
                node = Node(cursor, len(tokens))
                path[-1].children.append(node)
                break
            cursor.goto_parent()
            node, mark = path.pop(), marks.pop()
            if string is node:
                string = None
                if path:
                    tokens.append(node)
            node.finish(len(tokens))
            if node.children:
                subtrees.append(node.shape)
        else:
            if not node.children:
                subtrees.append(node.shape)  # the root, of nothing
            return tree


def data_flow(tree: Tree, texts: Sequence[str], *, compat: bool = False) -> list[tuple[str, str, tuple[str, ...]]]:
    """Where each variable's value comes from, names replaced by numbers in the order of appearance (Ren et al. 2020).

    Where CodeXGLUE's order depends on hashes, names keep the order of the program. Empty for programs that it cannot
    read: some that are broken, and those whose loops or brackets are nested too deeply; with `compat`, as published,
    also those that assign a text to an attribute (`a.b = "c"`: three parts on either side, and the text's are no
    tokens).

    Args:
        tree: Of the program.
        texts: Of its tokens.
        compat: As published.
    """
    if tree.depth > _MAX_DEPTH:
        return []
    try:
        with _room_for(_FRAMES * tree.depth):
            edges = sorted(_Flow(tree, texts, compat).read(tree.root, {}), key=lambda edge: edge.place)
    except UnreadableError:
        return []
    used = {place for edge in edges for place in edge.places} | {edge.place for edge in edges if edge.places}
    merged: dict[int, Edge] = {}
    for edge in edges:
        if edge.place in used:
            merged[edge.place] = _joined(merged[edge.place], edge) if edge.place in merged else edge
    numbers: dict[str, str] = {}
    for edge in merged.values():
        for name in (*edge.names, edge.name):
            numbers.setdefault(name, f"var_{len(numbers)}")
    return [(numbers[e.name], e.relation, tuple(numbers[name] for name in e.names)) for e in merged.values()]


@contextmanager
def _room_for(frames: int) -> Iterator[None]:
    """Lets calls go that much deeper, so that what is read does not hang on how deep the caller stands.

    Calls of Python by Python take no room on the machine's stack (since 3.11).
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + frames + 100)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


States = dict[str, tuple[int, ...]]


class _Flow:
    """Reads a tree in order. `states` says at which places each name got the value that it has, and moves along."""

    def __init__(self, tree: Tree, texts: Sequence[str], compat: bool) -> None:
        self.compat = compat
        # Tokens that are missing take no room: of those at one place the last stands for all.
        empty = {t.start: place for place, t in enumerate(tree.tokens) if t.start == t.end}
        self.places = [empty[t.start] if t.start == t.end else place for place, t in enumerate(tree.tokens)]
        self.texts = texts
        self.is_name = [tree.tokens[place].type != texts[place] for place in self.places]  # no sign and no keyword
        self.steps = 0

    def read(self, node: Node, states: States) -> list[Edge]:
        """The edges of a node; those of one place in the order of the program."""
        self._step()
        if node.is_token:
            return self._token(node, states)
        if node.type == "default_parameter":
            return self._default(node, states)
        if node.type in _ASSIGNMENTS:
            return self._assignment(node, states)
        if node.type == "if_statement":
            return self._branches(node, states)
        if node.type in _LOOPS:
            return self._loop(node, states)
        first = [child for child in node.children if child.type == "for_in_clause"]
        if not first:
            return self._all(node.children, states)
        return self._all([*first, *(child for child in node.children if child.type != "for_in_clause")], states)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise UnreadableError("too many steps")

    def _all(self, nodes: Iterable[Node], states: States) -> list[Edge]:
        edges: list[Edge] = []
        for node in nodes:
            if node.is_token and node.last > node.first and not self.is_name[node.first]:
                self._step()  # most of a program: signs and keywords, which have no edges
            else:
                edges += self.read(node, states)
        return edges

    def _token(self, node: Node, states: States) -> list[Edge]:
        if node.first == node.last:
            raise UnreadableError("a part of a text")
        if not self.is_name[node.first]:
            return []
        place = self.places[node.first]
        text = self.texts[place]
        if text in states:
            return [Edge(text, place, "comesFrom", (text,), states[text])]
        if node.type == "identifier":
            states[text] = (place,)
        return [Edge(text, place, "comesFrom")]

    def _variables(self, node: Node) -> list[tuple[str, int]]:
        """Text and place of the tokens that are not signs or keywords."""
        places = [self.places[place] for place in range(node.first, node.last) if self.is_name[place]]
        return [(self.texts[place], place) for place in places]

    def _default(self, node: Node, states: States) -> list[Edge]:
        names, value = self._variables(node.child("name")), node.child("value")
        edges = self.read(value, states)
        for name, place in names:
            edges += [Edge(name, place, "comesFrom", (text,), (source,)) for text, source in self._variables(value)]
            states[name] = (place,)
        return edges

    def _assignment(self, node: Node, states: States) -> list[Edge]:
        if node.type == "for_in_clause":
            return self._bound([(node.child("left"), node.children[-1])], states)
        if any(child.role == "right" for child in node.children):
            return self._bound(self._sides(node), states)
        return []

    def _bound(self, pairs: list[tuple[Node, Node]], states: States) -> list[Edge]:
        edges = self._all([right for _, right in pairs], states)
        for left, right in pairs:
            sources = self._variables(right)
            names, places = tuple(text for text, _ in sources), tuple(place for _, place in sources)
            for name, place in self._variables(left):
                edges.append(Edge(name, place, "computedFrom", names, places))
                states[name] = (place,)
        return edges

    def _sides(self, node: Node) -> list[tuple[Node, Node]]:
        """What is bound to what: part by part where both sides have as many, else whole."""
        left, right = node.child("left"), node.child("right")
        lefts, rights = (
            [child for child in side.children if child.type != "," and (self.compat or not side.is_token)]
            for side in (left, right)
        )
        if len(lefts) != len(rights) or not lefts:
            return [(left, right)]
        return list(zip(lefts, rights, strict=True))

    def _branches(self, node: Node, states: States) -> list[Edge]:
        edges: list[Edge] = []
        before, ends = dict(states), [states]
        for child in node.children:
            if child.type in ("elif_clause", "else_clause"):
                ends.append(dict(before))
                edges += self.read(child, ends[-1])
            else:
                edges += self.read(child, states)
        if not any("else" in child.type for child in node.children):
            ends.append(before)
        joined: dict[str, set[int]] = {}
        for end in ends:
            for name, places in end.items():
                joined.setdefault(name, set()).update(places)
        states |= {name: tuple(sorted(places)) for name, places in joined.items()}
        return edges

    def _loop(self, node: Node, states: States) -> list[Edge]:
        """Read twice, since what comes later in a loop is there at its next turn."""
        edges: list[Edge] = []
        for _ in range(2):
            if node.type == "while_statement":
                edges += self._all(node.children, states)
            else:
                edges += self._bound(self._sides(node), states)
                if node.children[-1].type == "block":
                    edges += self.read(node.children[-1], states)
        merged: dict[tuple[str, int, str], Edge] = {}
        for edge in edges:
            key = (edge.name, edge.place, edge.relation)
            merged[key] = _joined(merged[key], edge) if key in merged else edge
        return list(merged.values())


def _joined(first: Edge, then: Edge) -> Edge:
    names = tuple(dict.fromkeys(first.names + then.names))
    return Edge(first.name, first.place, then.relation, names, tuple(sorted({*first.places, *then.places})))


def _is_comment(node: Node) -> bool:
    if node.type != "expression_statement":
        return node.type == "comment"
    inside = [child.type for child in node.children]
    return inside == ["string"] and all(part.type != "interpolation" for part in node.children[0].children)
