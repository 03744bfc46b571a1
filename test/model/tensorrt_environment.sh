#!/usr/bin/env bash
# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Make an environment in which test_tensorrt_conversion.py builds TensorRT engines without a GPU:
# PyTorch with CUDA, Torch-TensorRT, and TensorRT-RTX in the place of TensorRT; 6 to 7 GB.
#
#   test/model/tensorrt_environment.sh NEW                          # release 2.14, and ModelOpt
#   PYTHON=python3.10 test/model/tensorrt_environment.sh OLD 2.8    # the release of JetPack 6
#   TENSORRT_PYTHON=NEW/tensorrt-python:OLD/tensorrt-python pytest test/model/test_tensorrt_conversion.py
set -euo pipefail
folder=$(realpath -m "${1:?usage: test/model/tensorrt_environment.sh DIR [2.8]}")
release=${2:-2.14}
if [ "$release" != 2.14 ] && [ "$release" != 2.8 ]; then
    echo "tensorrt_environment.sh: expected release 2.14 or 2.8, found $release" >&2
    exit 1
fi
"${PYTHON:-python3}" -m venv "$folder"
pip=("$folder/bin/python" -m pip install --quiet)
needed=(psutil dllist packaging filelock typing-extensions safetensors pyyaml)
if [ "$release" = 2.14 ]; then
    cuda=cu13 name=tensorrt_rtx
    "${pip[@]}" torch==2.14.0 numpy opencv-python-headless "${needed[@]}"
    # ModelOpt needs the last two without saying so.
    "${pip[@]}" nvidia-modelopt==0.47.0 requests huggingface_hub
    # Without its requirements: the TensorRT-RTX package on the index is an installer that downloads.
    "${pip[@]}" --no-deps torch-tensorrt-rtx==2.14.0
else
    cuda=cu12 name=tensorrt
    "${pip[@]}" torch==2.8.0 'numpy<2' 'opencv-python-headless<4.12' "${needed[@]}"
    "${pip[@]}" --no-deps torch-tensorrt==2.8.0
fi
"${pip[@]}" --no-deps "tensorrt-rtx-$cuda-bindings==1.6.1.120" \
    "onnxruntime-ep-nv-tensorrt-rtx-$cuda==0.4.0"
site=$("$folder/bin/python" -c 'import site; print(site.getsitepackages()[0])')
# ONNX Runtime's execution provider brings the libraries; the bindings want them by these names.
libraries=$site/onnxruntime_ep_nv_tensorrt_rtx
ln -sf libtensorrt_rtx.so.1.6.1 "$libraries/libtensorrt_rtx.so.1"
ln -sf libtensorrt_onnxparser_rtx.so.1.6.1 "$libraries/libtensorrt_onnxparser_rtx.so.1"
mkdir -p "$site/$name"
cat > "$site/$name/__init__.py" <<'PYTHON'
from tensorrt_rtx_bindings import *
from tensorrt_rtx_bindings import __version__
PYTHON
if [ "$release" = 2.8 ]; then
    # It is built on TensorRT: its libraries are not needed to convert, and three names of Python
    # are not in TensorRT-RTX, where the types of outputs cannot be set to what they are.
    rm -f "$site"/torch_tensorrt/lib/*.so
    cat >> "$site/$name/__init__.py" <<'PYTHON'
import sys

tensorrt = sys.modules[__name__]
_dtype = ITensor.dtype
ITensor.dtype = property(_dtype.fget, lambda tensor, kind: None)


class IAlgorithmSelector:
    pass
PYTHON
fi
cat > "$folder/tensorrt-python" <<SHELL
#!/usr/bin/env bash
LD_LIBRARY_PATH="$libraries:\${LD_LIBRARY_PATH:-}" exec "$folder/bin/python" "\$@"
SHELL
chmod +x "$folder/tensorrt-python"
