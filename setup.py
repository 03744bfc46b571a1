# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import sys
import xml.etree.ElementTree as ElementTree

from setuptools import Distribution, find_packages, setup

NAME = 'eunet_ros'
ROOT = Path(__file__).parent
# What `ros2 run` starts, and the modules whose main() it runs; resource/ holds a script for each.
EXECUTABLES = {
    'segmentation_node': 'eunet_ros.segmentation_node',
    'build_engine': 'eunet_ros.model.build_engine',
    'calibrate_mount': 'eunet_ros.calibration.calibrate_mount',
    'cone_bridge': 'eunet_ros.cone_bridge',
    'cone_score': 'eunet_ros.evaluation.cone_score',
    'evaluate_bag': 'eunet_ros.evaluate_bag',
    'play_bag': 'eunet_ros.play_bag',
}
# package.xml holds the one version number and description; everything else reads them.
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


def share(folder, pattern):
    """Return a data_files row that installs folder/pattern to share/eunet_ros/folder."""
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).glob(pattern) if p.is_file())
    return (f'share/{NAME}/{folder}', files)


data_files = [
    ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
    (f'share/{NAME}', ['package.xml']),
    share('launch', '*.launch.py'),
    share('config', '*'),
    share('security', '*.xml'),
    share('config/training', '*.yaml'),
]
# pip puts console scripts into bin/, where `ros2 run` does not look; colcon obeys setup.cfg.
if {'editable_wheel', 'bdist_wheel'} & set(sys.argv):
    data_files.append((f'lib/{NAME}', [f'resource/{name}' for name in EXECUTABLES]))

# What pip installs beside the package where no distribution does; requirements.txt holds the
# versions that are tested together. NumPy 1 and 2 both work.
MODEL = ['filelock>=3.12', 'numpy>=1.21', 'opencv-python-headless>=4.5', 'PyYAML>=6.0',
         'safetensors>=0.4', 'torch>=2.8']
EXTRAS = {
    'bags': ['Jinja2>=3.0', 'rich>=13', 'rosbags>=0.11'],  # evaluate_bag and play_bag
    'docs': ['furo', 'myst-parser', 'sphinx'],
    'onnx': ['onnx', 'onnxruntime'],
    'openvino': ['openvino'],
    # It brings the PyTorch of its own release. On a Jetson: see docs/engines.md.
    'tensorrt': ['torch-tensorrt>=2.8'],
    'train': ['kornia>=0.8,<0.10', 'lightning==2.6.*', 'lion-pytorch>=0.2.2', 'matplotlib',
              'pycocotools', 'rich>=13', 'tensorboard', 'torchmetrics==1.9.*'],
    # `colcon test` looks here for its test runner.
    'test': ['hypothesis', 'pytest', 'pytest-timeout'],
}


class DataDistribution(Distribution):
    """An editable install asks for `has_data`, a name that setuptools itself does not define."""

    def has_data(self):
        return bool(self.data_files)


setup(
    name=NAME,
    distclass=DataDistribution,
    version=MANIFEST.findtext('version'),
    description=MANIFEST.findtext('description'),
    license='Apache-2.0',
    maintainer=MANIFEST.findtext('maintainer'),
    maintainer_email=MANIFEST.find('maintainer').get('email'),
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={'eunet_ros.model': ['weights/*.safetensors', 'weights/*.md'],
                  'eunet_ros.evaluation.page': ['*.html', '*.css']},
    data_files=data_files,
    install_requires=MODEL,
    extras_require=EXTRAS,
    zip_safe=False,
    entry_points={
        'console_scripts': [f'{name} = {module}:main' for name, module in EXECUTABLES.items()],
    },
)
