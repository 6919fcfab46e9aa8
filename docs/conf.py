# -*- test-case-name: tests.test_package -*-
"""How Sphinx builds the documentation, and has pydoctor build the reference of the modules.

``tox -e docs`` runs it with warnings as errors. Nothing is fetched: pages of other projects are
linked to by their addresses.
"""

from __future__ import annotations

from pathlib import Path

import slimtwist

_root = Path(__file__).parent.parent

project = "slimtwist"
author = "the slimtwist developers"
project_copyright = "2026, the slimtwist developers"
version = release = slimtwist.__version__

extensions = ["sphinx.ext.intersphinx", "pydoctor.sphinx_ext.build_apidocs"]
exclude_patterns = ["_build", "newsfragments"]
nitpicky = True
# The manual page, by "sphinx-build -b man docs man".
man_pages = [("twistd-relay", "twistd-relay", "hand mail to its next hop", author, 1)]
html_theme = "alabaster"
html_theme_options = {"description": "Mail delivery for Twisted"}

pydoctor_url_path = "api/"
pydoctor_args = [
    "--project-name=slimtwist",
    f"--project-version={release}",
    "--docformat=epytext",
    # Names with an underscore are for readers of the code.
    "--privacy=HIDDEN:**._*",
    "--privacy=PUBLIC:**.__*__",
    f"--project-base-dir={_root}",
    "--html-output={outdir}/api",
    str(_root / "slimtwist"),
]
