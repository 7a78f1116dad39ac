"""Configurations that cannot be run: refused before any job, in one message that names the key, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from finished_run import snakemake
from mistakes import NO_CONFIGURATIONS, mistakes

pytestmark = pytest.mark.faults


def test_mistakes_are_refused(tally, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "own.py").write_text("def there():\n    open('pwned', 'w')\n")
    for key, configuration in mistakes(tmp_path):
        outcome, what = _refusal(work, yaml.safe_dump(configuration).encode(), key.split(".")[-1])
        tally.note("configuration mistakes", outcome, f"{key}: {str(configuration)[:200]}: {what}")
    for name, (content, words) in NO_CONFIGURATIONS.items():
        outcome, what = _refusal(work, content, words)
        tally.note("configuration mistakes", outcome, f"{name}: {what}")
    outcome, what = _refusal(work, None, "missing.yaml")
    tally.note("configuration mistakes", outcome, f"a file that is not there: {what}")
    assert not list(tmp_path.rglob("pwned"))
    assert not tally.wrong("configuration mistakes")


def _refusal(work: Path, content: bytes | None, words: str) -> tuple[str, str]:
    """What Snakemake makes of a configuration file before its first job."""
    config = work / ("missing.yaml" if content is None else "mine.yaml")
    if content is not None:
        config.write_bytes(content)
    process = snakemake(work, "--cores", "1", "--dry-run", "--quiet", "rules", config=config)
    told = process.communicate()[0]
    if process.returncode == 0:
        return "wrong", "accepted"
    if "Traceback" in told:
        return "wrong", f"a traceback: {told[-1000:]}"
    if words.lower() not in told.lower():
        return "wrong", f"does not name {words!r}: {told[-1000:]}"
    return "refused", ""
