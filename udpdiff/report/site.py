"""The report's site: pages of HTML that carry their own data, style and script, and the same data as files for machines.

Pages are opened from disk, where a browser lets no page fetch a file. So each embeds its data as
`<script type="application/json">`, with every `<` escaped, and its style and script inline; a content security policy
names these by hash and forbids all others. Knows nothing of what a page shows.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from udpdiff.report.printing import FILTERS
from udpdiff.storage.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
_STYLES = ("site.css", "charts.css")
_EVERY_PAGE = ("theme.js", "site.js")  # theme.js runs before anything is drawn


class PageData(BaseModel):
    """What a page shows: what its template reads, what its script reads, and what `data/NAME.json` holds.

    Its fields are the published schema, so each has a type and, where its name does not say it, a description.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Page:
    """A page of the site: NAME.html, made of NAME.html.j2.

    Attributes:
        name: Of its files.
        title: In the navigation, the browser's title and the heading.
        data: What it shows.
        scripts: Files of `templates/` that it runs, in order, after `site.js`.
    """

    name: str
    title: str
    data: PageData
    scripts: tuple[str, ...] = ()


def write_site(folder: Path, pages: list[Page], shared: Mapping[str, Any]) -> None:
    """Write every page, and its data with their JSON schema under `data/`.

    Args:
        folder: Where `NAME.html` come to lie.
        pages: In the order of the navigation.
        shared: What every template may read besides `page`, `pages` and `data`.
    """
    environment = _environment()
    style = "".join((TEMPLATES / name).read_text() for name in _STYLES)
    for page in pages:
        content = page.data.model_dump_json()  # not finite numbers as null
        scripts = [(TEMPLATES / name).read_text() for name in (*_EVERY_PAGE, *page.scripts)]
        context = {
            "page": page,
            "pages": pages,
            "data": page.data,
            "embedded": embedded(content),
            "style": Markup(style),
            "scripts": [Markup(script) for script in scripts],
            "policy": _policy(style, scripts),
        }
        write_text(
            folder / f"{page.name}.html", environment.get_template(f"{page.name}.html.j2").render(shared | context)
        )
        write_text(folder / f"data/{page.name}.json", content + "\n")
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        schema |= type(page.data).model_json_schema(mode="serialization")
        write_text(folder / f"data/{page.name}.schema.json", json.dumps(schema, indent=1) + "\n")


def embedded(content: str) -> Markup:
    """Return JSON as it may stand inside a script element: nothing in it can end the element or open a comment."""
    return Markup(content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _policy(style: str, scripts: list[str]) -> str:
    """Nothing is loaded but pictures, films and pages of the same folder; nothing runs but what stands here.

    `file:` because a page from disk has no origin that 'self' could name. Attributes named `style` are allowed: the
    templates set widths with them, and no text of others reaches an attribute unescaped.
    """
    run = " ".join(_hash(script) for script in scripts)
    return (
        "default-src 'none'; img-src 'self' file: data:; media-src 'self' file:; frame-src 'self' file:; "
        f"style-src {_hash(style)}; style-src-attr 'unsafe-inline'; script-src {run}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters |= FILTERS
    return environment
