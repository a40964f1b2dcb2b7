# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import stack as platform  # noqa: E402


@pytest.fixture(scope="module")
def stack():
    """The platform on its embedded defaults, one for a module."""
    with platform.Stack() as running:
        yield running
