"""Fixtures of the unit tests."""

from collections.abc import AsyncIterator
from pathlib import Path

from execution_stage import set_stage, Stage
import pytest

from gateway_node.executions.ports import RetentionPolicy


@pytest.fixture
def retention() -> RetentionPolicy:
    """Keep everything; a test that wants less says so."""
    return RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)


@pytest.fixture
async def stage(
    tmp_path: Path, retention: RetentionPolicy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Set a stage for an execution service."""
    async with set_stage(tmp_path, retention, monkeypatch) as stage:
        yield stage
