"""Every registered codec that is available here keeps the contract."""

from __future__ import annotations

import pytest

from workbench import registry
from workbench.testing import check_codec

# Encoders that search take minutes here; test_icm_streams tries the search on small networks.
AVAILABLE = [
    c.name
    for c in registry.load().codecs.values()
    if not c.unavailable() and not getattr(c, "refined", False)
]


@pytest.mark.parametrize("name", AVAILABLE)
def test_codec_conforms(name: str) -> None:
    failed = [str(verdict) for verdict in check_codec(name) if not verdict.passed]
    assert not failed


def test_points_of_every_codec_are_at_least_six() -> None:
    # A BD-rate of fewer points is warned of; six is what the project promises.
    lossy = [codec for codec in registry.load().codecs.values() if not codec.lossless]
    assert {codec.name for codec in lossy if len(codec.points) < 6} == set()
