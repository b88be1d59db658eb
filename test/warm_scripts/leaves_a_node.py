# SPDX-License-Identifier: Apache-2.0
"""Ends without any shutdown."""

import rclpy
from std_msgs.msg import String

rclpy.init()
node = rclpy.create_node('left')
publisher = node.create_publisher(String, 'left_words', 10)
publisher.publish(String(data='hi'))
print('end of the module')
