# SPDX-License-Identifier: Apache-2.0
"""Has two nodes that talk, with parameters, a service and a timer."""

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

rclpy.init()
talker, listener = rclpy.create_node('talker'), rclpy.create_node('listener')
talker.declare_parameter('rate', 3)
heard = []
listener.create_subscription(String, 'warm_words', lambda word: heard.append(word.data), 10)
publisher = talker.create_publisher(String, 'warm_words', 10)
talker.create_timer(0.02, lambda: publisher.publish(String(data='hello')))
executor = SingleThreadedExecutor()
executor.add_node(talker)
executor.add_node(listener)
client = listener.create_client(GetParameters, '/talker/get_parameters')
while not heard or not client.service_is_ready():
    executor.spin_once(timeout_sec=0.1)
answer = client.call_async(GetParameters.Request(names=['rate']))
executor.spin_until_future_complete(answer, timeout_sec=20)
print(heard[0], answer.result().values[0].integer_value)
talker.get_logger().info('told')
listener.destroy_node()
talker.destroy_node()
rclpy.shutdown()
print(rclpy.ok())
