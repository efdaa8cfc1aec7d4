# SPDX-License-Identifier: MIT
"""Sphinx set-up: kernel-doc comes from the Linux source that the build root has."""

import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINUX = os.environ.get("LINUX_SOURCE", os.path.join(TOP, "build", "linux-source"))

if not os.path.exists(os.path.join(LINUX, "Documentation", "sphinx", "kerneldoc.py")):
    sys.exit(f"{LINUX}: no Linux source with kernel-doc; 'make lint' sets it up, "
             "or set LINUX_SOURCE")

# The extension looks for its library below $srctree, and for sources below
# kerneldoc_srctree.
os.environ["srctree"] = LINUX
sys.path.insert(0, os.path.join(LINUX, "Documentation", "sphinx"))
sys.path.insert(0, os.path.join(LINUX, "tools", "lib", "python"))

project = "gsvm"
author = "the gsvm authors"
copyright = "the gsvm authors"
extensions = ["kerneldoc"]
kerneldoc_bin = os.path.join(LINUX, "tools", "docs", "kernel-doc")
kerneldoc_srctree = TOP
primary_domain = "c"
highlight_language = "none"
html_theme = "alabaster"
html_theme_options = {"description": "shared virtual memory, from PCI to pointer",
                      "page_width": "60em"}
exclude_patterns = []
