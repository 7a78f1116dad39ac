"""Configurations that cannot be run: refused before any job, in one message that names the key, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from finished_run import snakemake
from mistakes import NO_CONFIGURATIONS, UNREADABLE, mistakes

pytestmark = pytest.mark.faults


def test_mistakes_are_refused(tally, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "own.py").write_text("def there():\n    open('pwned', 'w')\n")
    for key, configuration in mistakes(tmp_path):
        # Whether any video can be read is looked at where jobs are to run.
        dry = configuration.get("source", {}).get("path") != str(tmp_path / "broken")
        outcome, what = _refusal(work, yaml.safe_dump(configuration).encode(), key.split(".")[-1], dry=dry)
        tally.note("configuration mistakes", outcome, f"{key}: {str(configuration)[:200]}: {what}")
    for name, (content, words) in NO_CONFIGURATIONS.items():
        outcome, what = _refusal(work, content, words)
        tally.note("configuration mistakes", outcome, f"{name}: {what}")
    for name, (content, words) in UNREADABLE.items():
        outcome, what = _refusal(work, content, words, traceback=True)
        tally.note("configuration mistakes", outcome, f"{name}: {what}")
    assert not list(tmp_path.rglob("pwned"))
    assert not tally.wrong("configuration mistakes")


def _refusal(
    work: Path, content: bytes | None, words: str, dry: bool = True, traceback: bool = False
) -> tuple[str, str]:
    """What Snakemake makes of a configuration file before its first job."""
    config = work / ("missing.yaml" if content is None else "mine.yaml")
    if content is not None:
        config.write_bytes(content)
    process = snakemake(work, "--cores", "1", "--quiet", "rules", *["--dry-run"] * dry, config=config)
    told = process.communicate()[0]
    if process.returncode == 0:
        return "wrong", "accepted"
    if (work / "logs").exists():
        return "wrong", "a job was started"
    if "Traceback (most" in told and not traceback:
        return "wrong", f"a traceback: {told[-1000:]}"
    if words.lower() not in told.lower():
        return "wrong", f"does not name {words!r}: {told[-1000:]}"
    return "refused", ""
