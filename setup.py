# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import xml.etree.ElementTree as ElementTree

from setuptools import setup

NAME = 'eunet_ros'
ROOT = Path(__file__).parent
# package.xml holds the one version number and description; everything else reads them.
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


def share(folder, pattern):
    """Return a data_files row that installs folder/pattern to share/eunet_ros/folder."""
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).glob(pattern) if p.is_file())
    return (f'share/{NAME}/{folder}', files)


setup(
    name=NAME,
    version=MANIFEST.findtext('version'),
    description=MANIFEST.findtext('description'),
    license='Apache-2.0',
    maintainer=MANIFEST.findtext('maintainer'),
    maintainer_email=MANIFEST.find('maintainer').get('email'),
    python_requires='>=3.10',
    packages=[
        'eunet_ros',
        'eunet_ros.model',
        'eunet_ros.model.engines',
        'eunet_ros.training',
        'eunet_ros.training.data',
        'eunet_ros.training.data.synthetic',
    ],
    package_data={'eunet_ros.model': ['weights/*.safetensors', 'weights/*.md']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        share('launch', '*.launch.py'),
        share('config', '*'),
        share('config/training', '*.yaml'),
    ],
    install_requires=['setuptools'],
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'segmentation_node = eunet_ros.segmentation_node:main',
        ],
    },
)
