"""Files that a project of this kind has: what they say agrees with what is there, and what is generated is current."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from udpdiff import conda_environment
from udpdiff.config import json_schema

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCHEMA = json.loads((ROOT / "config.schema.json").read_text())
FILES = ["config.yaml", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("presets/*.yaml"))]


def test_generated_files_are_current():
    remedy = "write it anew: python -m udpdiff.{0} > {1}"
    found = (ROOT / "config.schema.json").read_text()
    assert found == json_schema.as_json(), remedy.format("config.json_schema", "config.schema.json")
    environment = conda_environment.as_yaml((ROOT / "pyproject.toml").read_text())
    assert (ROOT / "envs/udpdiff.yaml").read_text() == environment, remedy.format(
        "conda_environment", "envs/udpdiff.yaml"
    )


def test_the_environment_has_what_jobs_need():
    [inside] = [
        each["pip"]
        for each in yaml.safe_load((ROOT / "envs/udpdiff.yaml").read_text())["dependencies"]
        if isinstance(each, dict)
    ]
    missing = set(PROJECT["dependencies"]) - set(inside)
    assert {re.split(r"[>=]", each)[0] for each in missing} == {"snakemake", "snakemake-executor-plugin-slurm"}


@pytest.mark.parametrize("name", FILES)
def test_configuration_files_fit_their_schema_and_name_it(name):
    text = (ROOT / name).read_text()
    hint = re.match(r"# yaml-language-server: \$schema=(\S+)\n\n", text)
    assert hint and ((ROOT / name).parent / hint[1]).resolve() == ROOT / "config.schema.json"
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    "mistake",
    [
        {"clips": {"heihgt": 64}},
        {"training": {"optimizer": "sgd"}},
        {"training": {"steps": 0}},
        {"runs": {"multi": {"training": {"learning_rate": 7}}}},
        {"labels": {"depth": {"mine": {"model": "zoedepth"}}}},
        {"labels": {"entities": {"grid8": {"points_per_side": 1000}}}},
    ],
)
def test_the_schema_tells_an_editor_of_mistakes(mistake):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(mistake, SCHEMA)


@pytest.mark.parametrize(
    "part", [{"seed": 8}, {"runs": {"multi": {"training": {"learning_rate": 1.0e-4}}}}, {"clips": {}}]
)
def test_a_file_of_the_users_may_name_what_differs_alone(part):
    jsonschema.validate(part, SCHEMA)


def test_licence_citation_and_changelog_agree_with_the_package():
    assert PROJECT["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License\n" in licence and "Version 2.0, January 2004" in licence and "APPENDIX" in licence
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    paper = citation["preferred-citation"]
    assert paper["title"] == "Unified Dense Prediction of Video Diffusion" and len(paper["authors"]) == 6
    assert f"## {PROJECT['version']} ({citation['date-released']})\n" in (ROOT / "CHANGELOG.md").read_text()
    entry = re.search(r"@software\{.*?```", (ROOT / "README.md").read_text(), re.S)[0]
    [author] = citation["authors"]
    for told in (citation["title"], author["name"], PROJECT["version"], str(citation["date-released"].year)):
        assert f"{{{told}}}" in entry, told


def test_the_public_ci_does_what_ours_does():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert any(".ci/run" in command and "CI=true" in command for command in commands["test"])
    # .ci/run installs Debian's packages: Ubuntu has no package of Chromium, and another SLURM.
    assert jobs["test"]["container"]["image"].endswith("-bookworm") and "sudo" not in " ".join(commands["test"])
    ours = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith(("ruff", "snakefmt"))]
    assert ours and set(ours) <= set(commands["lint"])


def test_contributing_names_commands_that_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    for module in re.findall(r"python -m (udpdiff[\w.]+\w)", page):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
