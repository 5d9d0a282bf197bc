"""Which addresses a provider may have: none but public ones, unless its host is named."""

from ipaddress import ip_address

import pytest

from mesh.outbound import refusal

PRIVATE = (
    "10.0.0.1 172.16.0.1 192.168.1.1 127.0.0.1 127.255.255.254 0.1.2.3 100.64.0.1 "
    "100.127.255.254 192.0.0.8 192.0.0.9 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.254 "
    "198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255 ::1 fd00::1 fc00::1 fec0::1 feff::1 "
    "100::1 2001:db8::1 3fff::1 3ffe::1 5f00::1 4000::1 e000::1 2001:2::1 2001:10::1 "
    "2001:20::1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:10.0.0.1 ::127.0.0.1 ::10.0.0.1 "
    "::8.8.8.8 ::2 2002:0a00:0001::1 2002:7f00:1:: 2002:808:808::1 64:ff9b::a00:1 "
    "64:ff9b::127.0.0.1 64:ff9b::198.18.0.1 64:ff9b:1::a00:1 64:ff9b:1::8.8.8.8 "
    "64:ff9b:1:ffff::1 2001:0:808:808:0:0:f5ff:fffe 2a00::5efe:10.0.0.1 "
    "2a00::200:5efe:10.0.0.1 "
)

NEVER = (
    "169.254.169.254 169.254.0.1 0.0.0.0 224.0.0.1 239.255.255.255 100.100.100.200 "
    "168.63.129.16 fe80::1 febf::1 :: ff02::1 ff0e::1 fd00:ec2::254 ::ffff:169.254.169.254 "
    "::ffff:0.0.0.0 ::169.254.169.254 2002:a9fe:a9fe::1 64:ff9b::169.254.169.254 "
    "64:ff9b::224.0.0.1 64:ff9b:1::169.254.169.254 64:ff9b:1:a9fe:a9:fe00:: "
    "64:ff9b:1:0:a9:fea9:fe00:0 2001::1 2001:0:a9fe:a9fe:: 2a00::5efe:169.254.169.254 "
    "fe80::1%eth0 ::1%lo 2606:4700::1111%eth0 fd00::1%1 "
)

PUBLIC = (
    "8.8.8.8 93.184.216.34 1.1.1.1 100.63.255.255 100.128.0.1 172.32.0.1 198.17.255.255 "
    "198.20.0.1 2606:4700::1111 2a00:1450:4001::200e 64:ff9b::8.8.8.8 "
)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses_in_any_dress_are_refused_unless_named(address: str) -> None:
    told = refusal(ip_address(address), private_allowed=False)
    assert told == "its address is private and not allowed"
    assert not refusal(ip_address(address), private_allowed=True)


@pytest.mark.parametrize("address", NEVER.split())
def test_some_addresses_are_never_allowed(address: str) -> None:
    assert refusal(ip_address(address), private_allowed=True) == "its address is never allowed"


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_allowed(address: str) -> None:
    assert not refusal(ip_address(address), private_allowed=False)
