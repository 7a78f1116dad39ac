"""Reads a raw configuration into `Config`, and explains every fault by its key, what was got and what is allowed."""

from __future__ import annotations

import difflib
from typing import get_args

from pydantic import BaseModel, ValidationError

from udpdiff.config.labels import DepthEstimator, EntityLabeller
from udpdiff.config.schema import Config
from udpdiff.config.training import Training
from udpdiff.config_values import ConfigError


def parse(raw: dict) -> Config:
    """The checked configuration.

    Raises: ConfigError, one line per fault, naming the key, what was got and what is allowed.
    """
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(fault) for fault in error.errors())) from None
    lines = []
    for name in config.runs:
        try:
            config.run_training(name)
        except ValidationError as error:
            lines += [f"runs.{name}.training: {_explain(fault, Training)}" for fault in error.errors()]
    if lines:
        raise ConfigError("\n".join(lines))
    return config


def _explain(fault: dict, root: type[BaseModel] = Config) -> str:
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    if path[:2] in (["labels", "entities"], ["labels", "depth"]) and len(path) > 3:
        del path[3]  # pydantic names the labeller's model there, which is no key
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        siblings = _known_keys(path[:-1], root)
        near = difflib.get_close_matches(path[-1], siblings, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{key}: unknown key; {hint}allowed here: {', '.join(siblings)}"
    if fault["type"] == "union_tag_not_found":
        return f"{key}.model: missing; allowed: {_models(path[1])}"
    if fault["type"] == "union_tag_invalid":
        return f"{key}.model: got {fault['ctx']['tag']!r}; allowed: {_models(path[1])}"
    if fault["type"] == "missing":
        return f"{key}: missing; a --configfile is merged over config.yaml, so this key was removed or set to null"
    if fault["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{key}: got {_short(fault['input'])}; allowed: a section, names with values"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: got {_short(fault['input'])}; {message[0].lower()}{message[1:]}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _models(labels: str) -> str:
    kinds = _kinds({"entities": EntityLabeller, "depth": DepthEstimator}[labels])
    return ", ".join(kind.model_fields["model"].annotation.__args__[0] for kind in kinds)


def _kinds(annotation) -> tuple[type[BaseModel], ...]:
    """Section classes that an annotation allows: one, or those of a union."""
    if isinstance(annotation, type):
        return (annotation,) if issubclass(annotation, BaseModel) else ()
    return tuple(kind for part in get_args(annotation) for kind in _kinds(part))


def _known_keys(path: list[str], root: type[BaseModel]) -> list[str]:
    """Names allowed below a path of section names."""
    kinds: tuple[type[BaseModel], ...] = (root,)
    for part in path:
        fields = [kind.model_fields[part].annotation for kind in kinds if part in kind.model_fields]
        # A part that is no field is a name the user chose, in a dictionary whose values are known already.
        kinds = tuple(kind for annotation in fields for kind in _kinds(annotation)) if fields else kinds
    return sorted({name for kind in kinds for name in kind.model_fields})
