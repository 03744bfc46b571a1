#!/usr/bin/env bash
# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Make an environment in which test_tensorrt_conversion.py builds TensorRT engines without a GPU:
# PyTorch with CUDA, Torch-TensorRT for TensorRT-RTX, TensorRT-RTX itself, and ModelOpt; 6.2 GB.
#
#   test/model/tensorrt_environment.sh DIR
#   TENSORRT_PYTHON=DIR/tensorrt-python pytest test/model/test_tensorrt_conversion.py
set -euo pipefail
folder=$(realpath -m "${1:?usage: test/model/tensorrt_environment.sh DIR}")
python3 -m venv "$folder"
pip=("$folder/bin/python" -m pip install --quiet)
"${pip[@]}" torch==2.14.0 numpy psutil dllist packaging filelock typing-extensions safetensors \
    opencv-python-headless pyyaml
# ModelOpt needs the last two without saying so.
"${pip[@]}" nvidia-modelopt==0.47.0 requests huggingface_hub
# Without their requirements: the TensorRT-RTX package on the index is an installer that downloads.
"${pip[@]}" --no-deps torch-tensorrt-rtx==2.14.0 tensorrt-rtx-cu13-bindings==1.6.1.120 \
    onnxruntime-ep-nv-tensorrt-rtx-cu13==0.4.0
site=$("$folder/bin/python" -c 'import site; print(site.getsitepackages()[0])')
# ONNX Runtime's execution provider brings the libraries; the bindings want them by these names.
libraries=$site/onnxruntime_ep_nv_tensorrt_rtx
ln -sf libtensorrt_rtx.so.1.6.1 "$libraries/libtensorrt_rtx.so.1"
ln -sf libtensorrt_onnxparser_rtx.so.1.6.1 "$libraries/libtensorrt_onnxparser_rtx.so.1"
mkdir -p "$site/tensorrt_rtx"
cat > "$site/tensorrt_rtx/__init__.py" <<'PYTHON'
from tensorrt_rtx_bindings import *
from tensorrt_rtx_bindings import __version__
PYTHON
cat > "$folder/tensorrt-python" <<SHELL
#!/usr/bin/env bash
LD_LIBRARY_PATH="$libraries:\${LD_LIBRARY_PATH:-}" exec "$folder/bin/python" "\$@"
SHELL
chmod +x "$folder/tensorrt-python"
