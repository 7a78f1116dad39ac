"""Reads a configuration file: UTF-8, one mapping, no key twice. Knows nothing of what may stand in it."""

from __future__ import annotations

from pathlib import Path

import yaml

from udpdiff.config_values import ConfigError


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would keep the last without a word."""

    def construct_mapping(self, node, deep=False):
        seen: dict[object, int] = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key, line = key_node.value, key_node.start_mark.line + 1
            if key_node.tag != "tag:yaml.org,2002:merge" and isinstance(key, str):
                if key in seen:
                    raise ConfigError(
                        f"key {key!r} stands in lines {seen[key]} and {line}; keep one, with the values of both"
                    )
                seen[key] = line
        return super().construct_mapping(node, deep)


def read(file: Path) -> dict:
    """Return what a file says; {} where it holds nothing but comments.

    Raises:
        ConfigError: It cannot be read; the message names the file, what is wrong and what is expected.
    """
    try:
        text = Path(file).read_bytes().decode("utf-8-sig")
        found = yaml.load(text, _Loader)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{file}: line {line} holds byte 0x{error.object[error.start]:02x}, which is no UTF-8; save the file as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); expected a YAML file") from error
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        tab = "; tabs cannot indent, use spaces" if "'\\t'" in message else ""
        raise ConfigError(f"{file}: is no YAML: {message}{tab}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    if not (found is None or isinstance(found, dict)):
        raise ConfigError(
            f"{file}: got a {type(found).__name__} at the top, expected sections, `seed: 7`, `clips: {{...}}`"
        )
    if "__use_yte__" in (found or {}):
        raise ConfigError(
            f"{file}: got __use_yte__, by which Snakemake runs code in a file; write plain values, without it"
        )
    return found or {}
