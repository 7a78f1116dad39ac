"""config.schema.json: what an editor needs to check and complete a configuration file while it is written.

Written by `python -m udpdiff.config.json_schema > config.schema.json`. It is the schema of the types, but nothing is required: a
preset and a user's file name only what differs. What spans several keys is checked at the start alone.
"""

from __future__ import annotations

import json
from typing import Any

from udpdiff.config.schema import Config
from udpdiff.config.training import Training

_HEAD = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Configuration of udpdiff",
    "description": "config.yaml and files that are merged over it; see docs/configuration.md.",
}


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration file."""
    full = Config.model_json_schema()
    training = Training.model_json_schema()
    definitions = full.pop("$defs") | training.pop("$defs", {})
    # Overrides of a run are any keys of the section `training`.
    definitions["Run"]["properties"]["training"] = {**training, "default": {}, "title": "Training"}
    return _optional(_HEAD | {name: full[name] for name in full if name not in _HEAD} | {"definitions": definitions})


def as_json() -> str:
    """Return it as the file's text."""
    return json.dumps(schema(), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def _optional(part: Any) -> Any:
    """Return a part of the schema where no key is required, in the dialect that editors know best."""
    if isinstance(part, list):
        return [_optional(each) for each in part]
    if isinstance(part, str):
        return part.replace("#/$defs/", "#/definitions/")
    if not isinstance(part, dict):
        return part
    left_out = {"required"} if isinstance(part.get("required"), list) else set()
    left_out |= {"discriminator"} if "oneOf" in part else set()  # which draft 7 does not know
    # Alternatives that differ in what they require are no longer exclusive.
    return {
        "anyOf" if name == "oneOf" else name: _optional(value) for name, value in part.items() if name not in left_out
    }


if __name__ == "__main__":
    print(as_json(), end="")
