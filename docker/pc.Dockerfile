# The node on a PC. Linted with hadolint; not built yet.
#   docker build -f docker/pc.Dockerfile -t eunet_ros .
#   docker run --rm --network host --ipc host eunet_ros image_topic:=/camera/image_raw
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Their versions are those of the distribution's release.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-opencv python3-venv \
        "ros-${ROS_DISTRO}-cv-bridge" "ros-${ROS_DISTRO}-diagnostic-msgs" \
        "ros-${ROS_DISTRO}-vision-msgs" "ros-${ROS_DISTRO}-visualization-msgs" \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /ws
# The distribution's cv_bridge is built with NumPy 1, up to Kilted; on Lyrical set NUMPY=numpy.
ARG NUMPY="numpy<2"
# hadolint ignore=DL3013
RUN python3 -m venv --system-site-packages .venv && touch .venv/COLCON_IGNORE \
 && .venv/bin/python -m pip install --no-cache-dir "${NUMPY}" torch openvino safetensors rosbags \
        colcon-common-extensions
COPY . src/eunet_ros
RUN . "/opt/ros/${ROS_DISTRO}/setup.bash" \
 && .venv/bin/python -m colcon build --packages-select eunet_ros
ENTRYPOINT ["/bin/bash", "-c", ". /ws/install/setup.bash && exec ros2 launch eunet_ros segmentation.launch.py \"$@\"", "launch"]
