# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The managed node `eunet`: connects ROS to the other modules."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
import sys
import time
from typing import Any, NamedTuple

from eunet_ros.images.conversions import ConversionError
from eunet_ros.images.regions import region_rows
from eunet_ros.model.common.errors import sentence, TracebackLog
from eunet_ros.model.engines import AUTO, DeviceLostError, EngineError
from eunet_ros.node import health
from eunet_ros.node.declared_parameters import declare
from eunet_ros.node.drop_reasons import DropReason
from eunet_ros.node.engine_failover import EngineGuard, GuardState
from eunet_ros.node.frame_worker import LatestFrameWorker
from eunet_ros.node.image_input import ImageInput
from eunet_ros.node.outputs import ImageOutputs
from eunet_ros.node.pipeline import FramePipeline, parse_classes
from eunet_ros.node.process_memory import give_back, HoleTrimmer, share_arenas, transient
from eunet_ros.node.status_publisher import StatusPublisher
from eunet_ros.node.stream_statistics import NodeStatistics
from eunet_ros.node.throttling import ThrottleWatch
from eunet_ros.parameters import checked, NODE_NAME, SPECS
from eunet_ros.ros import process, raw_images
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from std_srvs.srv import SetBool

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
WARM_UP_SIZE = (720, 1280)   # the usual camera; any other size works too
_THROTTLE_S = 5.0


def _header(fields: raw_images.Stamped) -> Header:
    header = Header(frame_id=fields.frame_id)
    header.stamp.sec, header.stamp.nanosec = fields.sec, fields.nanosec
    return header


def _sentence(error: Exception) -> str:
    known = isinstance(error, (ValueError, EngineError, OSError))
    return sentence(error) if known else repr(error)


class _Frame(NamedTuple):
    raw: bytes       # the message
    stamp: int       # ns
    arrived: float   # perf_counter
    read: Callable[[bytes], Any]


class SegmentationNode(LifecycleNode):
    """Segments the newest image of a camera; raises ValueError for a wrong parameter."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NODE_NAME, **kwargs)
        try:
            self.parameters = declare(self)
        except (ValueError, ParameterException):
            self.destroy_node()  # else it would stay visible to discovery
            raise
        self.statistics = NodeStatistics(int(self.parameters.late_image * 1e9),
                                         int(self.parameters.health_window * 1e9))
        self.exit_code, self.throttling, self._cameras = 0, ThrottleWatch(), health.SteadyCount()
        self._holes = HoleTrimmer()
        self._unexpected = TracebackLog(self.get_logger().error)
        self._worker: LatestFrameWorker | None = None
        self._pipeline: FramePipeline | None = None
        self._camera_info: CameraInfo | None = None
        self._active = False
        self._input: ImageInput | None = None
        self._outputs: ImageOutputs | None = None
        self._strip_rows: slice | None = None
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._service = self.create_service(SetBool, '~/set_enabled', self._on_set_enabled)
        self._status = StatusPublisher(
            self, self.health, self._rows, self.parameters,
            lambda error: self._unexpected.add('publishing the status', error))

    # --- parameters -------------------------------------------------------------------------

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            known = {p.name: checked(p.name, p.value) for p in changes if p.name in SPECS}
            changed = replace(self.parameters, **known)
            if self._pipeline and 'classes' in known:
                self._pipeline.keep = parse_classes(
                    known['classes'], self._pipeline.segmenter.classes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.parameters = changed
        self.statistics.remember_for(int(changed.health_window * 1e9))
        if self._pipeline:
            self._pipeline.segmenter.retry_s = changed.engine_retry
            self._pipeline.opacity = changed.overlay_opacity
            self._pipeline.region = changed.region
            self._pipeline.strip_center = changed.strip_center
        return SetParametersResult(successful=True)

    def _on_set_enabled(self, request: SetBool.Request,
                        response: SetBool.Response) -> SetBool.Response:
        result = self.set_parameters(
            [Parameter('enabled', Parameter.Type.BOOL, bool(request.data))])[0]
        response.success = result.successful
        response.message = result.reason or f'enabled: {str(request.data).lower()}'
        return response

    # --- transitions ------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build and warm the engine, create the outputs."""
        p = self.parameters
        try:
            from eunet_ros.model.segmenter import Segmenter  # here: torch takes seconds to import
            began = time.monotonic()
            self.get_logger().info(f'Building the engine ({p.engine}) for weights {p.weights} …')
            changed = {n: v for n, v in asdict(p).items() if v != SPECS[n].default}
            self.get_logger().debug(f'Parameters that are not at their defaults: {changed}')
            with transient():
                segmenter = Segmenter(p.weights, p.engine, p.input_size, p.variant,
                                      p.engine_threads, p.precision, self.get_logger().info,
                                      strip_size=p.strip_size)
                keep = parse_classes(p.classes, segmenter.classes)
                rows = region_rows(p.region, WARM_UP_SIZE[0])
                segmenter.warm_up(rows.stop - rows.start, WARM_UP_SIZE[1])
        except Exception as error:  # rclpy would fail silently
            if process.interrupted():  # which a library may turn into any error
                return FAILURE
            missing = f'A Python package is missing ({error}); install it for {sys.executable}.'
            self.get_logger().error(
                missing if isinstance(error, ImportError) else _sentence(error))
            if not isinstance(error, (ImportError, ValueError, EngineError, OSError)):
                self._unexpected.add('configuring', error)
            return FAILURE
        if not self.context.ok():  # SIGTERM while the engine was built
            return FAILURE
        for failure in segmenter.failures:
            self.get_logger().warning(failure)
        chosen, checkpoint = segmenter.engine.name, segmenter.checkpoint

        def another(name: str, precision: str = '') -> Segmenter:
            # Only the chosen engine is sure to have the chosen precision.
            precision = precision or (p.precision if name == chosen else 'auto')
            return Segmenter(checkpoint, name, p.input_size, '', p.engine_threads,
                             precision, self.get_logger().info, strip_size=p.strip_size)
        guard = EngineGuard(segmenter, another, self.get_logger().error, p.engine_retry)
        self._pipeline = FramePipeline(guard, p.overlay_opacity, keep, p.region, self._horizon,
                                       p.strip_center)
        self._outputs = ImageOutputs(self, segmenter.classes, p, self._on_output_failure)
        why = ', the fastest engine that works here' if p.engine == AUTO else ''
        self.get_logger().info(
            f'{segmenter.describe()}{why}; ready in {time.monotonic() - began:.1f} s.')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.statistics.reset(time.monotonic_ns())
        self._worker = LatestFrameWorker(self._process, self._on_error, self._on_drop)
        self._input = ImageInput(self, self.parameters, self._on_image, self._on_camera_info)
        self._active = True
        activated = super().on_activate(state)
        self._outputs.publish_labels()
        self._status.look()
        return activated

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        self._release()
        return SUCCESS

    def _stop(self) -> None:
        self._active = False
        if self._input:
            self._input.close()
        if self._worker and not self._worker.stop():
            self.get_logger().error('The engine did not finish its image within 10 s.')
        self._worker = self._camera_info = self._input = None
        give_back()  # the memory of waiting images
        if self.context.ok():
            self._status.look()  # at once, because no more masks follow

    def _release(self) -> None:
        self._stop()
        if self._outputs:
            self._outputs.close()
        if self._pipeline:
            self._pipeline.segmenter.close()
        self._pipeline = self._outputs = None

    def start(self) -> bool:
        """Configure and activate; returns whether both succeeded."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def close(self) -> None:
        """Stop and free everything, whatever the state."""
        self._release()
        self.destroy_node()

    # --- images -----------------------------------------------------------------------------

    def _on_image(self, raw: bytes) -> None:
        frame = _Frame(raw, raw_images.read_stamp(raw), time.perf_counter(),
                       self._input.read)
        self.statistics.received(frame.stamp, self.get_clock().now().nanoseconds,
                                 time.monotonic_ns())
        if not self.parameters.enabled:
            self._on_drop(frame, DropReason.DISABLED)
        elif self._worker:
            self._worker.submit(frame)
        else:
            self._on_drop(frame, DropReason.STOPPED)

    def _on_drop(self, frame: _Frame, reason: DropReason) -> None:
        if self.get_logger().is_enabled_for(LoggingSeverity.DEBUG):
            self.get_logger().debug(f'Image of {frame.stamp / 1e9:.3f} s dropped: {reason.words}.')
        self.statistics.dropped(reason, time.monotonic_ns(), frame.stamp)

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self._camera_info = msg

    def _horizon(self, size: tuple[int, int], msg: Any) -> float | None:
        """Return the row of the horizon of an image [px], None if unknown."""
        try:
            return self._outputs.cones.horizon(size, msg.header, self._camera_info,
                                               self.parameters.cones)
        except Exception as error:  # the mask does not need it
            self._on_output_failure('horizon', error)
            return None

    def _process(self, frame: _Frame) -> None:
        began = time.perf_counter()
        subscribed = self._outputs.subscribed()
        if not subscribed:
            self._on_drop(frame, DropReason.UNWATCHED)
            return
        msg = frame.read(frame.raw)
        products = self._pipeline.run(msg)
        ready, header = time.perf_counter(), _header(msg.header)
        if 'mask' in subscribed:  # first: a car waits for it
            self._outputs.publish_mask(header, products)
        done = time.perf_counter()
        self._strip_rows = products.strip_rows
        self.statistics.masked(time.monotonic_ns(), {
            'wait': (began - frame.arrived) * 1e3, **products.stage_ms,
            'publish': (done - ready) * 1e3, 'total': (done - frame.arrived) * 1e3}, frame.stamp)
        if subscribed != {'mask'}:
            self.statistics.published_others(self._outputs.publish_others(
                header, products, subscribed, self._camera_info, self.parameters))
        self._holes.look()

    def _on_error(self, frame: _Frame, error: Exception) -> None:
        if not self.context.ok():  # publishing failed because the process is ending
            self._on_drop(frame, DropReason.STOPPED)
            return
        text, reason = _sentence(error), DropReason.of(error)
        self.statistics.error(text)  # first: the health of a drop quotes it
        self._on_drop(frame, reason)
        if isinstance(error, DeviceLostError):
            self.get_logger().fatal(f'{text} The node ends; respawn:=true starts it again.')
            self.exit_code = 1
            self.context.try_shutdown()
            return
        self.get_logger().error(f'Image dropped: {text}', throttle_duration_sec=_THROTTLE_S)
        if reason is DropReason.INTERNAL:
            self._unexpected.add('segmenting an image', error)

    def _on_output_failure(self, name: str, error: Exception) -> None:
        if not self.context.ok():  # publishing failed because the process is ending
            return
        text = _sentence(error)
        self.statistics.output_failed(name, text, time.monotonic_ns())
        self.get_logger().warning(f'No message on ~/{name}: {text}',
                                  throttle_duration_sec=_THROTTLE_S)
        if not isinstance(error, ConversionError):
            self._unexpected.add(f'publishing {name}', error)

    # --- diagnostics ------------------------------------------------------------------------

    def health(self) -> health.Health:
        """Return the node's health, as in /diagnostics and ~/status."""
        guard = self._pipeline.segmenter.state if self._pipeline else GuardState()
        images = self._input
        where = health.Situation(active=self._active, no_engine=guard.no_engine,
                                 fallback=guard.fallback, throttled=self.throttling.look())
        if images:
            cameras = self._cameras.of(self.count_publishers(images.topic))
            where = replace(where, topic=images.topic, cameras=cameras, source=images.trouble,
                            loss=images.loss())
        state = self.statistics.snapshot(time.monotonic_ns(), stages=False)
        found = health.assess(state, where, self.parameters)
        cones = self._outputs.cones if self._outputs else None
        return health.with_outputs(found, state, cones.reason if cones else '',
                                   cones.moved(self.parameters) if cones else '')

    def _rows(self) -> dict[str, str]:
        rows = health.table(self.statistics.snapshot(time.monotonic_ns()))
        rows['throttling'] = self.throttling.look() or f'none seen ({self.throttling.sources})'
        if self._outputs:
            rows['mask subscribers'] = str(
                self._outputs.publishers['mask'].get_subscription_count())
            rows.update(self._outputs.cones.rows())
        if self._pipeline:
            rows.update(health.engine_table(self._pipeline.segmenter, self._strip_rows))
        return rows


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit code."""
    node, executor, code = None, None, 0
    given = sys.argv if args is None else args
    process.check_arguments(
        given, 'segmentation_node', 'Segment the cones in the images of a camera.',
        {name: f'{spec.metadata["description"]} Default: {spec.default!r}.'
         for name, spec in SPECS.items()})
    share_arenas()
    try:
        process.initialise(given)
        node = SegmentationNode()
        process.warn_of_unused_files(node, given)
        if node.parameters.autostart and not node.start():
            return 0 if process.interrupted() or not rclpy.ok() else 1
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        process.only_note_signals()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, ParameterException) as error:
        if not process.interrupted():
            process.complain(f'eunet: {sentence(error)}')
            return 1
    except Exception:
        if rclpy.ok():
            raise
        # else a signal ended the context during a callback
    finally:
        process.only_note_signals()
        if node:
            code = node.exit_code
            node.close()
        if executor:
            executor.shutdown()
        node = executor = None  # both keep it alive
        process.shut_down()
    return code
