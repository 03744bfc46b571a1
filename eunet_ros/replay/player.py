# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Play the camera of a bag, or a folder of images, as ROS topics, without rosbag2 installed.

    python -m eunet_ros.play_bag my_drive --publish-as /camera/image_raw --restamp
    ros2 run eunet_ros play_bag my_drive --loop --clock --rate 0.5

Messages are published as recorded bytes, each at its time. They are not decoded, so the player
takes little CPU time.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
import json
import sys
import threading
import time
from typing import TextIO

from eunet_ros.bags import frame_source
from eunet_ros.bags.frame_source import Frame, Pacer
from eunet_ros.bags.messages import COMPRESSED_IMAGE, NS, stamp_of, with_stamp
from eunet_ros.model.common.command import check_ranges
from eunet_ros.model.common.errors import sentence
from eunet_ros.model.common.files import user_path
from eunet_ros.ros import process
from eunet_ros.ros.camera_topic import advice_to_subscribers, compressed_topic, ImageTopic
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool

CLOCK_HZ = 100.0     # of /clock
_AHEAD = 8           # frames read ahead: half a second of 15 Hz, 22 MB of raw 720p
_POLL_S = 0.01
_LOOK_S = 0.05       # between two checks for subscribers
_ACK_TIMEOUT_S = 2.0
_LINGER_S = 0.5
_MASK_TIMEOUT_S = 30.0  # the node returns no mask for an image that it cannot use


class Player(Node):
    """Publishes frames on a topic, and their camera_info beside it."""

    def __init__(self, topic: str, msgtype: str, with_info: bool, mask_topic: str = '') -> None:
        super().__init__('eunet_player')
        self._returned: set[int] = set()   # stamps of masks
        self._mask_came = threading.Condition()
        self.waits = bool(mask_topic)
        if mask_topic:
            self.create_subscription(Image, mask_topic, self._on_mask,
                                     QoSProfile(depth=10), raw=True)
        # A reliable publisher matches reliable and best-effort subscribers.
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self.topic, self._msgtype = topic, msgtype
        self._images = self.create_publisher(
            CompressedImage if msgtype == COMPRESSED_IMAGE else Image, topic, qos)
        namespace = topic.removesuffix('/compressed').rpartition('/')[0]
        self._infos = self.create_publisher(
            CameraInfo, f'{namespace}/camera_info', qos) if with_info else None

    def wait_for_subscribers(self, timeout: float, result: str) -> None:
        """Wait for subscribers of the images and of `result`; ValueError after timeout s."""
        # Polling, because rclpy of Humble has no event for a match.
        end, advice = time.monotonic() + timeout, ''
        while not self._images.get_subscription_count():
            seen = advice_to_subscribers(self, ImageTopic(self.topic, self._msgtype))
            if seen and not advice:
                process.complain(f'play_bag: {seen}.')
            advice = seen
            if time.monotonic() > end:
                advice = advice or ('start the node first, with its image topic and '
                                    'ROS_DOMAIN_ID those of the player')
                raise ValueError(f'Nobody subscribed to {self.topic} within {timeout:g} s: '
                                 f'{advice}.')
            time.sleep(_LOOK_S)
        while result and not self.count_subscribers(result):
            if time.monotonic() > end:
                raise ValueError(f'Nobody subscribed to {result} within {timeout:g} s: start '
                                 'what is to record it first.')
            time.sleep(_POLL_S)

    def send(self, frame: Frame, restamp: bool) -> int:
        """Publish a frame and its camera_info; returns the stamp they carry, ns."""
        image, info, stamp = frame.image, frame.camera_info, frame.stamp
        if restamp:
            stamp = time.time_ns()
            image, info = with_stamp(image, stamp), info and with_stamp(info, stamp)
        if self._infos and info:
            self._infos.publish(info)
        self._images.publish(image)
        return stamp

    def _on_mask(self, raw: bytes) -> None:
        with self._mask_came:
            self._returned.add(stamp_of(raw))
            self._mask_came.notify_all()

    def wait_for_mask(self, stamp: int) -> None:
        """Wait for the mask of the image with that stamp, until a timeout."""
        with self._mask_came:
            self._mask_came.wait_for(lambda: stamp in self._returned, _MASK_TIMEOUT_S)
            self._returned.clear()

    def finish(self) -> None:
        """Wait until reliable subscribers have acknowledged all images, then a moment."""
        self._images.wait_for_all_acked(Duration(seconds=_ACK_TIMEOUT_S))
        # The last image is still in shared memory that ends with this process.
        time.sleep(_LINGER_S)


class Controls:
    """The service that pauses, and /clock (clock_hz, 0 for none); they run in a thread."""

    def __init__(self, player: Player, pacer: Pacer, clock_hz: float, paused: bool) -> None:
        self._player, self._pacer = player, pacer
        self._changed = threading.Condition()
        self._paused = paused
        self.offset = 0  # from a frame's time to its due time [ns]; grows with each round
        if paused:
            pacer.hold()
        player.create_service(SetBool, '~/set_paused', self._on_set_paused)
        self._clock = None
        if clock_hz:
            from rosgraph_msgs.msg import Clock
            self._message = Clock()
            self._clock = player.create_publisher(Clock, '/clock', 10)
            player.create_timer(1 / clock_hz, self.tick,
                                clock=RosClock(clock_type=ClockType.STEADY_TIME))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(player)
        self._thread = threading.Thread(target=self._spin, name='controls', daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(2.0)

    def wait_until(self, recorded: int) -> float:
        """Wait until the frame recorded at that time is due; returns the delay in seconds."""
        with self._changed:
            while True:
                delay = self._pacer.remaining(recorded)
                if delay <= 0 and not self._paused:
                    return -delay
                self._changed.wait(None if self._paused else delay)

    def tick(self) -> None:
        """Publish the recording's time on /clock."""
        now = self._pacer.reached()
        if self._clock and now is not None:
            self._message.clock.sec, self._message.clock.nanosec = divmod(
                max(0, now - self.offset), NS)
            self._clock.publish(self._message)

    def _on_set_paused(self, request: SetBool.Request,
                       response: SetBool.Response) -> SetBool.Response:
        with self._changed:
            (self._pacer.hold if request.data else self._pacer.go_on)()
            self._paused = bool(request.data)
            self._changed.notify_all()
        response.success, response.message = True, 'paused' if request.data else 'playing'
        return response


def play(player: Player, frames: Iterator[tuple[int, Frame]], controls: Controls,
         restamp: bool, log: TextIO | None) -> int:
    """Send all frames at their times; returns how many. Writes a JSON line of each to log."""
    sent = 0
    with closing(frame_source.prefetch(frames, _AHEAD)) as ahead:
        for due, frame in ahead:
            late = controls.wait_until(due)
            controls.offset = due - frame.time
            controls.tick()
            at, stamp = time.time_ns(), player.send(frame, restamp)
            sent += 1
            if log:
                print(json.dumps({'event': 'sent', 'index': frame.index,
                                  'bag_stamp': frame.stamp, 'sent_stamp': stamp,
                                  'at': at, 'late_ms': round(late * 1e3, 3)}),
                      file=log, flush=True)
            if player.waits:
                player.wait_for_mask(stamp)
    player.finish()
    return sent


def _arguments(args: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        'ros2 run eunet_ros play_bag',
        description='Play the images of a bag or folder as ROS topics.')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('bag', nargs='?', type=user_path,
                      help='a rosbag2: folder, .mcap or .db3 file')
    what.add_argument('--images', metavar='FOLDER', type=user_path,
                      help='a folder of images instead')
    parser.add_argument('--image-topic', default='', help="the camera's topic in the bag")
    parser.add_argument('--publish-as', metavar='TOPIC', default='',
                        help='base topic to publish on, or one that ends in /compressed '
                             '(default: as in the bag)')
    parser.add_argument('--rate', type=float, default=1.0, help='speed (default: 1, real time)')
    parser.add_argument('--hz', type=float, default=frame_source.DEFAULT_HZ,
                        help="a folder's images per second (default: %(default)g)")
    parser.add_argument('--start', type=float, default=0.0, metavar='S',
                        help='begin so many seconds into the recording (default: 0)')
    parser.add_argument('--duration', type=float, metavar='S', help='play so many seconds of it')
    parser.add_argument('--loop', action='store_true', help='play it again and again')
    parser.add_argument('--paused', action='store_true',
                        help='wait for std_srvs/SetBool false on /eunet_player/set_paused')
    parser.add_argument('--clock', type=float, nargs='?', const=CLOCK_HZ, default=0.0,
                        metavar='HZ', help="publish the recording's time on /clock, for nodes "
                                           f'with use_sim_time (without HZ: {CLOCK_HZ:g})')
    parser.add_argument('--restamp', action='store_true', help='stamp images with the time now')
    parser.add_argument('--log', metavar='FILE', help='JSON line of each frame; - is stdout')
    parser.add_argument('--wait-for-subscribers', type=float, default=30.0, metavar='S',
                        help='wait this long for a subscriber (default: 30; 0: do not wait)')
    parser.add_argument('--wait-for-recorder-of', default='', metavar='TOPIC',
                        help='within that time also wait for a subscriber of this topic of the '
                             'node, such as a recorder')
    parser.add_argument('--wait-for-mask', default='', metavar='TOPIC',
                        help='send each image only after the mask of the one before has '
                             'arrived, so that all are segmented')
    parser.add_argument('--delay', type=float, default=0.0, metavar='S',
                        help='then wait this long, for the node to find its recorder')
    options = parser.parse_args(args)
    check_ranges(parser, options, hz=(0.1, 1000), rate=(0.01, 100), delay=(0, 3600))
    if options.clock:
        check_ranges(parser, options, clock=(1, 1000))
    if not 0 <= options.start < float('inf'):
        parser.error(f'--start must be 0 or more, found {options.start:g}')
    if options.duration is not None and not options.duration > 0:
        parser.error(f'--duration must be above 0, found {options.duration:g}')
    if options.clock and options.restamp:
        parser.error('--clock and --restamp exclude each other: stamps of the current time do '
                     "not fit the recording's time on /clock")
    return options


def _topic(publish_as: str, source: frame_source.Source) -> str:
    """Return the topic to publish images on: as given, else as in the bag."""
    if publish_as:
        return compressed_topic(publish_as) if source.msgtype == COMPRESSED_IMAGE else publish_as
    return getattr(source, 'bag_topic', '') or compressed_topic(source.topic)


def main(args: list[str] | None = None) -> int:
    """Play; returns the exit code, 0 also when interrupted."""
    given = ['play_bag', *(sys.argv[1:] if args is None else args)]
    o = _arguments(process.own_arguments(given))
    player = controls = None
    try:
        source = frame_source.open_source(o.bag, o.images, o.image_topic, o.hz)
        if source.warning:
            process.complain(f'play_bag: {source.warning}')
        # Without the signal handlers of rclpy, a signal also ends time.sleep at once.
        process.initialise(given, signal_handler_options=SignalHandlerOptions.NO)
        player = Player(_topic(o.publish_as, source), source.msgtype, source.has_camera_info,
                        o.wait_for_mask)
        if o.wait_for_subscribers:
            player.wait_for_subscribers(o.wait_for_subscribers, o.wait_for_recorder_of)
        time.sleep(o.delay)
        stream = nullcontext(sys.stdout) if o.log == '-' else (
            open(user_path(o.log), 'w') if o.log else nullcontext())
        with stream as log:
            controls = Controls(player, Pacer(o.rate), o.clock, o.paused)
            frames = frame_source.part_of(source, o.start, o.duration, o.loop)
            sent = play(player, frames, controls, o.restamp, log)
        process.complain(f'play_bag: sent {sent} images on {player.topic}')
    except KeyboardInterrupt:
        pass
    except (ValueError, OSError, ImportError, NameValidationException) as error:
        process.complain(f'play_bag: {sentence(error)}')
        return 1
    finally:
        process.only_note_signals()
        if controls:
            controls.close()
        if player:
            player.destroy_node()
        process.shut_down()
    return 0
