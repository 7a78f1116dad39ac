"""Collections wait for the end of a script's imports, and only of a script."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

from udpdiff.quick_start import MANY

# Of 600,000 objects a usual process would look through all several times.
SCRIPT = """
import gc, json
kept = [[number] for number in range(600_000)]
while_importing, thresholds = gc.get_stats()[2]["collections"], gc.get_threshold()
class Knot:
    alive = 0
    def __init__(self):
        self.itself = self
        Knot.alive += 1
    def __del__(self):
        Knot.alive -= 1
def main():
    most = 0
    for number in range(1_000_000):
        Knot()
        most = max(most, Knot.alive)
    print(json.dumps([while_importing, thresholds, gc.get_threshold(), gc.get_freeze_count(), most, Knot.alive]))
if __name__ == "__main__":
    main()
"""


def test_a_script_imports_without_looking_and_collects_afterwards(tmp_path):
    package = tmp_path / "jobs_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("from udpdiff.quick_start import import_without_collections as i\ni()\n")
    (package / "one.py").write_text(SCRIPT)
    places = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "jobs_of_mine.one"],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
    )
    of_everything, thresholds, restored, frozen, most_knots, knots = json.loads(done.stdout)
    assert not done.stderr
    assert of_everything == 0 and thresholds[0] == MANY
    assert restored == list(gc.get_threshold()) and frozen > 600_000
    assert 0 < most_knots < 2 * MANY and knots <= restored[0]


def test_a_package_that_is_imported_changes_nothing():
    before = gc.get_threshold(), list(gc.callbacks)
    import scripts  # noqa: F401

    assert (gc.get_threshold(), list(gc.callbacks)) == before
