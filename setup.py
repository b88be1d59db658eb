# SPDX-License-Identifier: Apache-2.0
"""Package definition for colcon (ament_python) and, in a virtual environment, pip."""

from glob import glob

from setuptools import find_packages, setup

package_name = 'gateway_node'

setup(
    name=package_name,
    version='0.1.0',
    description='Diagnostic script gateway for ROS 2 robots: an HTTP API in the style of SOVD.',
    license='Apache-2.0',
    maintainer='gateway_node maintainers',
    maintainer_email='gateway_node@users.noreply.github.com',
    packages=find_packages(include=[package_name, f'{package_name}.*']),
    package_data={
        package_name: ['py.typed'],
        # Swagger UI as it was published, and what is ours of its page.
        f'{package_name}.http_server': ['pages/*', 'pages/swagger-ui-dist/*'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
        (f'share/{package_name}/launch', glob('launch/*.launch.py')),
        (f'share/{package_name}/config', glob('config/*')),
        # Messages name pages of the documentation; their links to each other hold there too.
        (f'share/{package_name}', ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.rst', 'LICENSE']),
        (f'share/{package_name}/docs', glob('docs/*.md')),
        (f'share/{package_name}/docs/decisions', glob('docs/decisions/*.md')),
    ],
    zip_safe=True,
    python_requires='>=3.11',
    # The lower bounds are what Ubuntu 24.04 ships; rosdep installs those (see package.xml).
    install_requires=[
        'aiohttp>=3.9.1',
        'cryptography>=41.0.7',
        'jsonschema>=4.10.3',
        'PyJWT>=2.7.0',
        'PyYAML>=6.0.1',
    ],
    extras_require={
        # Where no ROS distribution is sourced: ROS 2 Kilted from PyPI (x86-64, CPython to 3.13).
        'ros': [
            'ros-kilted-rclpy',
            'ros-kilted-rmw-fastrtps-cpp',
            'ros-kilted-std-msgs',
            'ros-kilted-diagnostic-msgs',
            # The robots of the tests publish these.
            'ros-kilted-geometry-msgs',
            'ros-kilted-sensor-msgs',
        ],
        'test': [
            'colcon-bash',
            'colcon-core',
            'colcon-package-information',
            'colcon-package-selection',
            'colcon-python-setup-py',
            'colcon-ros',
            'hypothesis',
            'mypy',
            'openapi-spec-validator',
            'pytest',
            'pytest-asyncio',
            'pytest-timeout',
            'pytest-xdist',
            'ruff',
            'schemathesis',
            'types-PyYAML',
            'types-jsonschema',
        ],
    },
    entry_points={
        'console_scripts': [
            'gateway_node = gateway_node.__main__:main',
            'gateway_token = gateway_node.access.token_command:main',
            'temp_sensor = gateway_node.demo.temp_sensor:main',
        ],
    },
)
