"""The elements of one of the report's pages as a browser takes it apart: tags, references, scripts that are not its own."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from udpdiff.report.site import TEMPLATES


class Elements(HTMLParser):
    """What a page holds.

    Attributes:
        tags: Names of all elements.
        found: Every reference.
        data: The embedded data; None where they are not read from one whole element.
        foreign: Contents of the scripts that run and are no file of the templates.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.found, self.foreign, self.data = set(), [], [], None
        self._script = None
        self._known = {path.read_text() for path in TEMPLATES.glob("*.js")}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "data-src", "href", "poster", "data")]
        if tag == "script":
            self._script = [dict(attrs).get("type"), ""]

    def handle_data(self, data):
        if self._script:
            self._script[1] += data

    def handle_endtag(self, tag):
        if tag == "script" and self._script:
            kind, content = self._script
            if kind == "application/json":
                self.data = json.loads(content)
            elif content not in self._known:
                self.foreign.append(content)
            self._script = None
