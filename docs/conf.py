"""The documentation as a site: sphinx-build -W -c docs . build/docs

Its root is the repository's, so that links among README, docs and benchmarks lead to the same pages on the site and in a clone.
"""

from pathlib import Path

project = "udpdiff"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "udpdiff"
html_domain_indices = False
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/*.ipynb", "benchmarks/*.md"]
exclude_patterns = ["results", "work", "build", "logs", "venv", ".*"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # a test executes the notebook
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
# Results of benchmarks have links in their page alone; tests/test_documentation.py wants one to every page.
suppress_warnings = ["toc.not_included"]


def setup(app):
    """Let the site's own address, without a page's name, lead to its first page."""
    app.connect("build-finished", _begin)


def _begin(app, exception):
    page = f'<meta http-equiv="refresh" content="0; url={root_doc}.html"><a href="{root_doc}.html">udpdiff</a>\n'
    (Path(app.outdir) / "index.html").write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">{page}')
