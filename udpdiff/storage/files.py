"""Small files that appear whole or not at all, and stay through a power cut."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from udpdiff.storage.folders import fsync


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all."""
    path = Path(path)
    staging = path.with_name(f".{path.name}.writing")
    staging.write_text(text, encoding="utf-8")
    fsync(staging)
    os.replace(staging, path)
    fsync(path.parent)


def write_json(path: str | Path, content: Any) -> None:
    """Write readable JSON, as `write_text` does."""
    write_text(path, json.dumps(content, indent=1) + "\n")


from udpdiff.storage.folders import replace_folder as replace_folder  # noqa: E402
