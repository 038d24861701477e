"""What Sphinx is told of the site; build.py starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import docstrings  # noqa: E402
import links  # noqa: E402

project = "losslab"
author = "the authors of losslab"
extensions = [  # no mathjax: it would be loaded from elsewhere
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
include_patterns = [
    *("index.md", "api.md", "docs/*.md", "catalogue/*.md", "gallery/*.rst"),
    *("examples/README.md", "experiments/*/*.md"),
]
exclude_patterns = ["docs/site/**", "README.md"]
root_doc = "index"
default_role = "code"  # names in docstrings stand in single backticks

myst_heading_anchors = 4  # as GitHub makes them
myst_links_external_new_tab = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype, napoleon_use_ivar = False, True

html_theme = "furo"
html_title = "losslab"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_search_scorer = str(HERE / "static/scorer.js")
html_show_sphinx = html_show_copyright = False
html_copy_source = html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parents[1] / "examples/gallery"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_.*\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "image_srcset": [],
    "reset_modules": ("matplotlib",),
    "remove_config_comments": True,
}


def setup(app: Any) -> None:
    """Makes the pages of the losses in a process of its own while the gallery runs in this one."""
    made: list[subprocess.Popen[bytes]] = []
    folder = Path(app.srcdir) / "catalogue"

    def start(app: Any) -> None:
        made.append(subprocess.Popen([sys.executable, str(HERE / "loss_pages.py"), str(folder)]))

    def wait(app: Any) -> None:
        if made.pop().wait():
            raise RuntimeError("The pages of the losses could not be made; see the messages above.")

    app.connect("builder-inited", start, priority=100)  # before the gallery
    app.connect("builder-inited", wait, priority=900)  # after it
    app.connect("source-read", links.read)
    app.connect("autodoc-process-docstring", docstrings.escape, priority=900)  # after napoleon
