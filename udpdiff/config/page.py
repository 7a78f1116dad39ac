"""The page docs/configuration.md: every key of config.yaml with its default, what it may be, and its comment there.

Written by `python -m udpdiff.config.page > docs/configuration.md`. Types and bounds are the schema's, words are the
comments of config.yaml, so neither is written a second time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from udpdiff.config.schema import Config

_ROOT = Path(__file__).parents[2]
_HEAD = """# Configuration

Written by `python -m udpdiff.config.page > docs/configuration.md` from `config.yaml` and the types that check it. The preset,
files given with `--configfile` and `--config` are merged over `config.yaml`; each names only what differs ([scales](scales.md)).
Mistakes are refused before any job starts, in a message that names the key, what was got and what is allowed. Science lives
in the configuration, hardware in the profile ([cluster](cluster.md)).
"""


@dataclass(frozen=True)
class Entry:
    """One key: its path, the default as text, what it may be, and its comment."""

    path: tuple[str, ...]
    default: str
    allowed: str
    words: str


def as_markdown(text: str) -> str:
    """Return the page for the text of a config.yaml: a table for each section."""
    found = list(entries(text))
    single = [entry for entry in found if len(entry.path) == 1 and entry.default]
    pages = [_HEAD, _table("General", "", single)]
    for section in dict.fromkeys(entry.path[0] for entry in found if entry not in single):
        inside = [entry for entry in found if entry.path[0] == section]
        words = inside[0].words if len(inside[0].path) == 1 else ""
        pages.append(_table(f"`{section}`", words, [entry for entry in inside if len(entry.path) > 1]))
    return "\n".join(pages)


def entries(text: str) -> Iterator[Entry]:
    """Yield every key, mappings before what they hold; lists and mappings in one line are defaults."""
    schema = Config.model_json_schema()
    yield from _entries(yaml.compose(text), (), schema, schema, text, _comments(text))


def _entries(node, path, schema, root, text, comments) -> Iterator[Entry]:
    lines = [key.start_mark.line for key, _ in node.value]
    for key, value in node.value:
        inner, here = _inside(_resolved(schema, root), key.value, value, root), (*path, key.value)
        line = key.start_mark.line
        words = comments.get(line, "") if lines.count(line) == 1 else ""
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            yield Entry(here, "", "", words)
            yield from _entries(value, here, inner, root, text, comments)
        else:
            yield Entry(here, _default(value, text), _allowed(inner, root), words)


def _default(value: yaml.Node, text: str) -> str:
    """Return a value as config.yaml writes it; a list over several lines by its length alone."""
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        return f"a list of {len(value.value)}"
    return " ".join(text[value.start_mark.index : value.end_mark.index].split()) or "null"


def _comments(text: str) -> dict[int, str]:
    """Return the comment of each line of a key: beside it, going on below it, or above it."""
    found: dict[int, str] = {}
    above, last, column = [], None, None
    for number, line in enumerate(text.splitlines()):
        bare = re.match(r"\s*# ?(.*)", line)
        beside = re.search(r"(?<=\S)\s+# (.*)$", line)
        if bare and last is not None and line.index("#") == column:
            found[last] += f" {bare[1]}"
        elif bare:
            above, last = [*above, bare[1]], None
        elif line.strip():
            words = [*above, beside[1]] if beside else above
            found[number] = " ".join(words).strip()
            last, column, above = number, line.index("#", beside.start()) if beside else None, []
        else:
            above, last = [], None
    return found


def _resolved(schema: dict, root: dict) -> dict:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _choices(schema: dict, root: dict) -> list[dict]:
    """Return the alternatives of a schema, one by one."""
    schema = _resolved(schema, root)
    return [each for choice in schema.get("anyOf", schema.get("oneOf", [])) for each in _choices(choice, root)] or [
        schema
    ]


def _inside(schema: dict, key: str, value, root: dict) -> dict:
    """Return the schema of a key; of several kinds of sections, that which knows all keys that stand there."""
    known = [
        schema.get("properties", {}).get(key),
        schema.get("additionalProperties"),
        *schema.get("patternProperties", {}).values(),
    ]
    named = next((each for each in known if isinstance(each, dict)), {})
    choices = _choices(named, root)
    if len(choices) > 1 and isinstance(value, yaml.MappingNode):
        given = {inner.value: content.value for inner, content in value.value}
        return next((each for each in choices if _fits(each.get("properties", {}), given)), {})
    return named


def _fits(properties: dict, given: dict) -> bool:
    return all(key in properties and properties[key].get("const", value) == value for key, value in given.items())


def _allowed(schema: dict, root: dict) -> str:
    words = []
    for each in _choices(schema, root):
        if "enum" in each:
            words += [f"`{value}`" for value in each["enum"]]
        elif "const" in each:
            words.append(f"`{each['const']}`")
        elif each.get("type") in ("integer", "number"):
            words.append({"integer": "whole number", "number": "number"}[each["type"]] + _bounds(each))
        else:
            kind = each.get("type", "")
            words.append(
                {"string": "text", "boolean": "true or false", "array": "list", "object": "section"}.get(kind, kind)
            )
    return "; ".join(dict.fromkeys(word for word in words if word))


def _bounds(schema: dict) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least:,.10g} to {most:,.10g}"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return "".join(f", {sign} {schema[key]:,.10g}" for key, sign in signs.items() if key in schema)


def _table(title: str, words: str, rows: list[Entry]) -> str:
    lines = [
        f"## {title}",
        "",
        *([words, ""] if words else []),
        "| key | default | may be | meaning |",
        "|---|---|---|---|",
    ]
    for entry in rows:
        cells = [f"`{'.'.join(entry.path)}`", f"`{entry.default}`" if entry.default else "", entry.allowed, entry.words]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(as_markdown((_ROOT / "config.yaml").read_text()), end="")
