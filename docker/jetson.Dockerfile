# The node on a Jetson Orin with JetPack 6 and ROS 2 Humble. Linted with hadolint; not built yet.
#   docker build -f docker/jetson.Dockerfile --build-arg JETSON_INDEX=… -t eunet_ros .
#   docker run --rm --runtime nvidia --network host --ipc host eunet_ros
# JETSON_INDEX: see docs/engines.md. Choose the tag that is the release of your JetPack.
ARG L4T=r36.4.0
FROM nvcr.io/nvidia/l4t-jetpack:${L4T}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl \
 && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
        -o /usr/share/keyrings/ros-archive-keyring.gpg \
 && echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu jammy main" \
        > /etc/apt/sources.list.d/ros2.list \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-opencv python3-venv \
        ros-humble-ros-base ros-humble-cv-bridge ros-humble-diagnostic-msgs \
        ros-humble-vision-msgs ros-humble-visualization-msgs \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /ws
ARG JETSON_INDEX
# hadolint ignore=DL3013
RUN python3 -m venv --system-site-packages .venv && touch .venv/COLCON_IGNORE \
 && .venv/bin/python -m pip install --no-cache-dir --index-url "${JETSON_INDEX:?see docs/engines.md}" \
        torch==2.8.0 torch_tensorrt==2.8.0 \
 && .venv/bin/python -m pip install --no-cache-dir "numpy<2" safetensors rosbags \
        colcon-common-extensions
COPY . src/eunet_ros
RUN . /opt/ros/humble/setup.bash \
 && .venv/bin/python -m colcon build --packages-select eunet_ros
ENTRYPOINT ["/bin/bash", "-c", ". /ws/install/setup.bash && exec ros2 launch eunet_ros segmentation.launch.py \"$@\"", "launch"]
