"""What differs between two configurations, by dotted keys. Knows nothing of what the values mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import Field

from udpdiff.report.site import PageData


class Difference(PageData):
    key: str
    first: str | None = Field(description="Of the first configuration, as YAML; null where it has no such key.")
    second: str | None = Field(description="Of the second.")


def differing(first: Mapping[str, Any], second: Mapping[str, Any], above: str = "") -> Iterator[Difference]:
    """Yield every value that is another one, in the order of the second configuration; a missing section counts once.

    Args:
        first: Sections of a configuration, json-able.
        second: Of another one.
        above: The dotted key of both.
    """
    for key in dict.fromkeys([*second, *first]):
        name = f"{above}.{key}" if above else str(key)
        if key in first and key in second:
            if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
                yield from differing(first[key], second[key], name)
                continue
            if first[key] == second[key]:
                continue
        values = [_words(side[key]) if key in side else None for side in (first, second)]
        yield Difference(key=name, first=values[0], second=values[1])


def _words(value: Any) -> str:
    """A value as YAML writes it in a line."""
    words = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=100_000, allow_unicode=True)
    return words.removesuffix("...\n").strip()
