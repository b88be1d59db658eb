# SPDX-License-Identifier: Apache-2.0
"""A node that publishes a topic under whatever name of a type it is given, until SIGTERM.

Fast DDS takes that name from the type support of the message, which is changed here, in this
process.
"""

import ctypes
import signal
import sys

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

SUPPORT = 'rosidl_typesupport_fastrtps_c'


def main() -> None:
    """Publish a topic with a type, `package/msg/Name`; say `ready` once it is published."""
    topic, type_name = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    package, kind, name = type_name.split('/')
    library = ctypes.CDLL(f'libstd_msgs__{SUPPORT}.so')
    handle = getattr(library, f'{SUPPORT}__get_message_type_support_handle__std_msgs__msg__String')
    # rosidl_message_type_support_t: what it is called, and then what it is; that begins with the
    # name (message_type_support_callbacks_t).
    handle.restype = ctypes.POINTER(ctypes.c_void_p)
    names = ctypes.cast(handle()[1], ctypes.POINTER(ctypes.c_char_p))
    names[0], names[1] = f'{package}::{kind}'.encode(), name.encode()
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('stranger', context=context)
    node.create_publisher(String, topic, 1)
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    node.destroy_node()
    context.try_shutdown()


if __name__ == '__main__':
    main()
