# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site: `make docs`."""
from pathlib import Path
import xml.etree.ElementTree as ElementTree

_manifest = ElementTree.parse(Path(__file__).parents[1] / 'package.xml').getroot()
project = 'eunet_ros'
author = 'The eunet_ros contributors'
project_copyright = f'2026, {author}'
release = version = _manifest.findtext('version')

extensions = ['myst_parser', 'sphinx.ext.autodoc']
html_theme = 'furo'
# Links to a heading, as GitHub makes them.
myst_heading_anchors = 4
autodoc_member_order = 'bysource'
# Names of NumPy and PyTorch in signatures stay short.
autodoc_typehints_format = 'short'
autodoc_preserve_defaults = True
smartquotes = False  # they would spoil names in quotation marks
