"""What pyproject.toml cannot say: a wheel holds the workflow, in `udpdiff/_workflow`, for `udpdiff workflow --path`.

In a clone, and in an editable install, it stays where it is, beside the package.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ("Snakefile", "config.yaml", "config.schema.json", "docs/quality.json")
FOLDERS = ("rules", "scripts", "presets", "profiles", "slurm", "envs")


class BuildWithWorkflow(build_py):
    def run(self):
        super().run()
        if self.editable_mode:
            return
        root, target = Path(__file__).parent, Path(self.build_lib) / "udpdiff" / "_workflow"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in FILES:
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copy2(root / name, target / name)
        for name in FOLDERS:
            shutil.copytree(root / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))


setup(cmdclass={"build_py": BuildWithWorkflow})
