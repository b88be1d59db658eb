# SPDX-License-Identifier: Apache-2.0
"""Figures of the machine, as the kernel tells them (man 5 proc, man 5 sysfs). They block."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import platform
from typing import Any

_MIB = 1024 * 1024
_MEMORY = {
    'MemTotal': 'total_mb',
    'MemAvailable': 'available_mb',
    'SwapTotal': 'swap_total_mb',
    'SwapFree': 'swap_free_mb',
}
_MAX_ZONES = 64


def machine_figures(state_dir: Path) -> dict[str, Any]:
    """Return load, memory, the state directory's disk, temperatures and uptime; what this machine
    does not tell is left out."""
    figures = {
        'load': _load(),
        'cpus': os.cpu_count(),
        'memory': _memory(),
        'disk': _disk(state_dir),
        'temperatures': dict(_temperatures()),
        'uptime_sec': _uptime_sec(),
    }
    return {name: value for name, value in figures.items() if value}


def system_versions() -> dict[str, str]:
    """Return what kernel and what distribution this is."""
    versions = {'kernel': platform.release()}
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
        versions['distribution'] = release.get('PRETTY_NAME') or release['NAME']
    return versions


def _load() -> list[float]:
    """Return the load of the last minute, five minutes and fifteen."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except OSError:
        return []


def _memory() -> dict[str, float]:
    """Return MiB of memory, all and what new programs could have."""
    figures = {}
    for line in _read(Path('/proc/meminfo')).splitlines():
        name, _, rest = line.partition(':')
        if name in _MEMORY and (number := rest.split()[:1]):
            figures[_MEMORY[name]] = round(int(number[0]) / 1024, 1)
    return figures


def _disk(state_dir: Path) -> dict[str, float]:
    """Return MiB of the file system of a directory."""
    try:
        found = os.statvfs(state_dir)
    except OSError:
        return {}
    return {
        'total_mb': round(found.f_blocks * found.f_frsize / _MIB, 1),
        'free_mb': round(found.f_bavail * found.f_frsize / _MIB, 1),
    }


def _temperatures() -> Iterator[tuple[str, float]]:
    """Go through the thermal zones: name and degrees Celsius."""
    zones = sorted(Path('/sys/class/thermal').glob('thermal_zone*'))[:_MAX_ZONES]
    for zone in zones:
        degrees = _read(zone / 'temp').strip()
        with contextlib.suppress(ValueError):
            kind = _read(zone / 'type').strip()
            yield f'{zone.name} {kind}'.strip(), int(degrees) / 1000


def _uptime_sec() -> float | None:
    text = _read(Path('/proc/uptime'))
    return float(text.split()[0]) if text else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''
