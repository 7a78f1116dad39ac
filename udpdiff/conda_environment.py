"""envs/udpdiff.yaml, for `--software-deployment-method conda`: the floors of pyproject.toml as one environment for all rules.

Written by `python -m udpdiff.conda_environment > envs/udpdiff.yaml`, in a clone.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

_HEAD = """# For `--software-deployment-method conda`: one environment serves every rule. `udpdiff` itself comes from this checkout
# (the rules put it on PYTHONPATH). Written by `python -m udpdiff.conda_environment` from pyproject.toml.
channels:
  - conda-forge
dependencies:
  - python=3.12
  - pip
  - pip:
"""
# What starts jobs is needed where Snakemake runs, not in them.
_OF_SNAKEMAKE = ("snakemake",)


def as_yaml(pyproject: str) -> str:
    """Return the environment's text for the text of a pyproject.toml."""
    needed = tomllib.loads(pyproject)["project"]["dependencies"]
    return _HEAD + "".join(f"      - {each}\n" for each in needed if not each.startswith(_OF_SNAKEMAKE))


if __name__ == "__main__":
    print(as_yaml((Path(__file__).parents[1] / "pyproject.toml").read_text()), end="")
