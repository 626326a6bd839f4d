"""Gorilla's scripts as they are described, step by step and slowly: what the fast one is compared with."""

import tree_sitter
import tree_sitter_python

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))


class Port:
    """One catalog: rows of (api_call, domain), mode as `kohai.metrics.gorilla_ast.Mode`."""

    def __init__(self, rows, mode):
        self.domains = [domain for _, domain in rows]
        self.trees = [PARSER.parse(call.encode()).root_node for call, _ in rows]
        self.mode = mode

    def decide(self, answer, domain):
        """A decision."""
        pieces = answer.split("api_call")
        if len(pieces) == 1:
            if self.mode == "torchhub":
                return "uncounted"
            call = pieces[0]
        else:
            piece = pieces[1].split("api_provider")[0]
            start = piece.index(":") if ":" in piece else 0
            end = piece.rindex(")") if ")" in piece else -2
            call = piece[start + 2 : end + 1]
        row = self.match(call)
        if row == -1:
            return "hallucination"
        return "correct" if self.domains[row] == domain else "wrong"

    def match(self, call):
        """A row's number, or -1."""
        parts = []
        stack = [PARSER.parse((call or "").encode()).root_node]
        while stack:
            node = stack.pop()
            parts.append((node, node.children[0].text if node.children else None))
            stack += [child for child in node.children if len(child.children) != 0]
        for number, tree in enumerate(self.trees):
            if tree.children[0].children[0].child_count == 0:
                continue
            name = tree.children[0].children[0].children[0].text
            for part in parts:
                if part[1] == name:
                    break
            arguments = self.arguments(tree)
            if not arguments:
                continue
            if all(a.decode().lstrip("'").rstrip("'") in part[0].text.decode() for a in arguments):
                return number
        return -1

    def arguments(self, tree):
        """What a row asks for."""
        found = []
        for child in tree.children[0].children[0].children[1].children:
            text = child.text.decode()
            if self.mode == "torchhub":
                if "repo_or_dir" in text or "model" in text:
                    found.append(child.children[2].text)
            elif ("=" in text) if self.mode == "huggingface" else ("model=" in text or "model =" in text):
                found.append(child.children[2].text)
            elif text not in ("(", ")", ","):
                found.append(child.text)
        return found
