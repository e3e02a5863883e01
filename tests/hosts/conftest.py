"""The contract suite's fixtures. Modules beside this one are imported as `tests.hosts.*`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ["NEMO_GUARDRAILS_NO_USAGE_STATS"] = "1"  # read when NeMo is imported
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # read when LiteLLM is imported: else it looks for a newer one


@pytest.fixture(scope="session")
def faulty_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Makes the plugins of `tests.hosts.faults` installed ones, for settings that name them."""
    from tests.hosts import faults

    folder = tmp_path_factory.mktemp("faults")
    faults.install(folder)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
