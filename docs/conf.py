"""The documentation as a site: sphinx-build -W docs build/docs"""

project = "udpdiff"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "udpdiff"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # a test executes the notebook
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
# Links to files outside of this folder; tests/test_links.py looks at every link of every page.
suppress_warnings = ["myst.xref_missing"]
