"""Where a result comes from: the commit of this package and of nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from udpdiff import provenance as module
from udpdiff.provenance import package_digest, provenance

GIT = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package inside a git checkout, which tracks it or not."""
    folder = tmp_path / "project/package"
    folder.mkdir(parents=True)
    (folder / "provenance.py").write_text("one = 1\n")
    (tmp_path / "project/other.txt").write_text("other")
    subprocess.run([*GIT, "init", "-q", "."], cwd=tmp_path / "project", check=True)
    monkeypatch.setattr(module, "_PACKAGE", folder)
    package_digest.cache_clear()
    yield folder
    package_digest.cache_clear()


def commit(folder, *names):
    subprocess.run([*GIT, "add", *names], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "-qm", "x"], cwd=folder, check=True)


def test_a_checkout_names_its_commit_and_what_was_changed(package):
    commit(package.parent, ".")
    made = provenance()
    assert len(made["commit"]) == 40 and made["dirty"] is False
    former = made["package_sha256"]
    (package / "provenance.py").write_text("one = 2\n")
    package_digest.cache_clear()
    assert provenance()["dirty"] is True and provenance()["package_sha256"] != former


def test_the_checkout_around_an_installed_package_is_not_its_own(package):
    commit(package.parent, "other.txt")
    assert (provenance()["commit"], provenance()["dirty"]) == (None, None)


def test_without_git_all_else_is_still_known(package, monkeypatch):
    monkeypatch.setenv("PATH", str(package))
    assert shutil.which("git") is None
    made = json.loads(json.dumps(provenance()))
    assert made["commit"] is None and made["dirty"] is None
    assert made["versions"]["torch"] and made["hardware"]["cores"] >= 1 and made["hardware"]["memory_gb"] > 0
