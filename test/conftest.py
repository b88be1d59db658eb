"""What holds for every test: a ROS graph of its own, and nothing written to the home directory."""

from collections.abc import Iterator
import os

import pytest


@pytest.fixture(scope='session', autouse=True)
def ros_environment_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give this process and its children a ROS domain and directories of their own."""
    home = tmp_path_factory.mktemp('ros_home')
    with pytest.MonkeyPatch.context() as patch:
        # 1 to 101 do not collide with ephemeral ports on Linux (ROS 2 docs, "The ROS_DOMAIN_ID").
        patch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % 101))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('ROS_HOME', str(home))
        patch.setenv('ROS_LOG_DIR', str(home / 'log'))
        yield
