"""Which addresses count as public."""

from __future__ import annotations

import pytest
from worksite.builder.domain.addresses import is_public, refuse_private
from worksite.common.errors import StepRefused


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "fe80::1", "fe80::1%eth0", "fec0::1", "fd00:ec2::254",
        "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "2002:7f00:1::",
    ],
)  # fmt: skip
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)


def test_one_private_address_is_enough_to_refuse_a_host_and_is_not_told() -> None:
    refuse_private(["8.8.8.8", "2606:4700::1"])
    with pytest.raises(StepRefused) as refused:
        refuse_private(["8.8.8.8", "10.1.2.3"])

    assert refused.value.code == "url_refused"
    assert "10.1.2.3" not in refused.value.detail
