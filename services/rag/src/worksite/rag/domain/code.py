"""Source code: its definitions, found by the grammars of tree-sitter, as sections under the path of their symbols.

A definition that is worth a chunk opens a section with its name as heading, and with the comments, decorators and
attributes right above it. What is larger than about a chunk is entered, so that its parts are the blocks; whatever
is not entered stays whole. Blocks begin at the beginning of a line, so that a cut never goes through one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from itertools import groupby

from tree_sitter import Language, Node, Parser
from worksite.rag.domain.sections import Section, spans

_GRAMMARS = {
    "bash": ("tree_sitter_bash", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "python": ("tree_sitter_python", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "sql": ("tree_sitter_sql", "language"),
    "toml": ("tree_sitter_toml", "language"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "yaml": ("tree_sitter_yaml", "language"),
}
# fmt: off
_DEFINITIONS = frozenset(
    {
        "abstract_class_declaration", "annotation_type_declaration", "block_mapping_pair", "class_declaration",
        "class_definition", "class_specifier", "concept_definition", "constructor_declaration", "create_function",
        "create_index", "create_materialized_view", "create_procedure", "create_table", "create_trigger",
        "create_type", "create_view", "enum_declaration", "enum_item", "enum_specifier", "function_declaration",
        "function_definition", "function_item", "generator_function_declaration", "impl_item",
        "interface_declaration", "internal_module", "macro_definition", "method_declaration", "method_definition",
        "mod_item", "module", "namespace_definition", "record_declaration", "struct_item", "struct_specifier",
        "table", "table_array_element", "trait_item", "type_alias_declaration", "type_definition", "type_spec",
        "union_item", "union_specifier", "variable_declarator",
    }
)
_WRAPPERS = frozenset(
    {
        "ambient_declaration", "declaration", "decorated_definition", "export_statement", "expression_statement",
        "lexical_declaration", "statement", "template_declaration", "type_declaration", "variable_declaration",
    }
)
"""Nodes around one definition that belong to it."""
# fmt: on
_LEADING = frozenset({"attribute_item", "block_comment", "comment", "line_comment", "marginalia"})
"""Nodes right above a definition that belong to it."""
_OWN_BYTES = 160
"""A smaller definition stays with its neighbours, under the name of what encloses them."""
_WHOLE_BYTES = 800
"""About what a chunk holds: a smaller node is not entered."""
_NAME_CHARACTERS = 80
_READ_BYTES = 16 * 1024
_MOST_STEPS = 200_000
"""Calls of the parser's progress callback; a file of 2 MiB took 20,000, and half a second."""
_RECEIVER = re.compile(rb"([A-Za-z_]\w*)\s*(?:\[.*\])?\s*\)$")

Path = tuple[str, ...]


def code_sections(text: str, language: str) -> list[Section]:
    """The sections in order, which cover the text; none where the language has no grammar that copes."""
    try:
        edges = _edges(_parsed(text.encode(), language))
    except Exception:  # grammars are other people's: none of their faults may cost the file its place in the index
        return []
    starts = [0, *(match.end() for match in re.finditer("\n", text))]  # the line ends that tree-sitter counts
    firsts = [starts[line] for line in sorted(edges)]
    blocks = spans(range(len(firsts)), firsts, len(text))
    places = zip((edges[line] for line in sorted(edges)), blocks, strict=False)
    return [Section(path, tuple(b for _, b in group)) for path, group in groupby(places, key=lambda place: place[0])]


@cache
def _language(name: str) -> Language:
    module, function = _GRAMMARS[name]
    grammar: object = getattr(import_module(module), function)()
    return Language(grammar)


def _parsed(source: bytes, language: str) -> Node:
    """The root of the tree. Raises KeyError for an unknown language and ValueError where it takes too long."""
    steps = 0

    def stops(_: int, __: bool) -> bool:  # being called at all lets other threads run, which the parser does not
        nonlocal steps
        steps += 1
        return steps > _MOST_STEPS

    def read(at: int, _: object) -> bytes:
        return source[at : at + _READ_BYTES]

    tree = Parser(_language(language)).parse(read, progress_callback=stops)
    return tree.root_node


def _edges(root: Node) -> dict[int, Path]:
    """The first line of every block and the symbols around it. The first line of the text is always one."""
    edges: dict[int, Path] = {0: ()}
    waiting: list[tuple[Node, Path]] = [(root, ())]
    while waiting:  # not recursive: the depth of a tree is up to whoever wrote the file
        parent, around = waiting.pop()
        for line, node in _parts(parent):
            definition = _definition(node)
            path = around
            if definition is not None and _size(node) >= _OWN_BYTES:
                path = (*around, _name(definition))
                edges[line] = path
            else:
                edges.setdefault(line, path)
            if _size(node) > _WHOLE_BYTES:
                waiting.append((definition or node, path))
    return edges


def _parts(parent: Node) -> Iterator[tuple[int, Node]]:
    """The named children, each with the line at which it begins, comments right above it included."""
    lead: Node | None = None
    first = end = 0
    for child in parent.named_children:
        line = child.start_point.row
        if lead is not None and line > end + 1:
            yield first, lead
            lead = None
        if lead is None:
            first = line
        lead = child if child.type in _LEADING else None
        end = child.end_point.row - (child.end_point.column == 0)
        if lead is None:
            yield first, child
    if lead is not None:
        yield first, lead


def _size(node: Node) -> int:
    return node.end_byte - node.start_byte


def _definition(node: Node) -> Node | None:
    """The node itself, or the only one inside what wraps it."""
    while node.type in _WRAPPERS:
        inside = [child for child in node.named_children if child.type in _DEFINITIONS or child.type in _WRAPPERS]
        if len(inside) != 1:
            return None
        node = inside[0]
    return node if node.type in _DEFINITIONS else None


def _name(definition: Node) -> str:
    named = _named(definition)
    text = (named.text if named is not None else None) or b""
    receiver = definition.child_by_field_name("receiver")
    if receiver is not None and (found := _RECEIVER.search(receiver.text or b"")):
        text = found[1] + b"." + text
    return " ".join(text.decode(errors="replace").split())[:_NAME_CHARACTERS] or definition.type


def _named(definition: Node) -> Node | None:
    """Grammars keep a name in a field of its own, in a declarator (C), or as the first child (TOML, SQL)."""
    for field in ("name", "key", *(("type",) if definition.type == "impl_item" else ())):
        if (found := definition.child_by_field_name(field)) is not None:
            return found
    declarator = _innermost_declarator(definition)
    return declarator if declarator is not None else _first_child(definition.named_children)


def _innermost_declarator(node: Node) -> Node | None:
    found: Node | None = None
    while (inner := (found or node).child_by_field_name("declarator")) is not None:
        found = inner
    return found


def _first_child(children: Sequence[Node]) -> Node | None:
    """The first one that can be a name: SQL has its keywords in front."""
    return next((child for child in children if not child.type.startswith("keyword_")), None)
