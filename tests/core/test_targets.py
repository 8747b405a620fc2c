"""Addresses of somebody else's choice: which may be called, and every way in which one that may not can be written."""

from __future__ import annotations

import pytest

from app.core.targets import RefusedTarget, Target, is_public, target_of

TAKEN = {
    "https://hooks.example.com/metrograph": Target("https", "hooks.example.com", 443, "/metrograph"),
    "https://hooks.example.com": Target("https", "hooks.example.com", 443, "/"),
    "https://HOOKS.example.com.:8443/a?b=c": Target("https", "hooks.example.com", 8443, "/a?b=c"),
    "https://bücher.example/": Target("https", "xn--bcher-kva.example", 443, "/"),
    "https://8.8.8.8/": Target("https", "8.8.8.8", 443, "/"),
    "https://[2606:4700:4700::1111]/": Target("https", "2606:4700:4700::1111", 443, "/"),
}

REFUSED = (
    # Schemes, ports, and what hides the host from a reader.
    *("http://hooks.example.com/", "ftp://hooks.example.com/", "file:///etc/passwd", "gopher://hooks.example.com/"),
    *("//hooks.example.com/", "hooks.example.com", "", "https://", "https:///x", f"https://a.example/{'x' * 2000}"),
    *("https://hooks.example.com:22/", "https://hooks.example.com:80/", "https://hooks.example.com:0/"),
    *("https://hooks.example.com:99999/", "https://user@hooks.example.com/", "https://u:p@127.0.0.1/"),
    *("https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com /", "https://hooks.example.com\t/"),
    *("https://hooks.example.com/\r\nHost: inside", "https://hooks.example.com/#f", "https://hooks.example.com/ü"),
    *("https://127.0.0.1%2f.example.com/", "https://-a-.example.com/", "https://a..example.com/", "https://[::1/"),
    *("https://[fe80::1%25eth0]/", f"https://{'a' * 64}.example.com/", "https://[nonsense]/"),
    # Names of the inside.
    *("https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://ⓛocalhost/", "https://intranet/"),
    *("https://metadata.google.internal/", "https://db.local/", "https://router.lan/", "https://1.0.0.127.in-addr.arpa/"),
    # Loopback, in every form that some reader of addresses takes.
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/"),
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://１２７.0.0.1/", "https://0/"),
    *("https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://0.0.0.0/"),
    *("https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::7f00:1]/"),
    *("https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://256.1.1.1/", "https://1.2.3.4.5/"),
    # Private networks, link-local, metadata services of clouds, multicast, documentation.
    *("https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://198.18.0.1/"),
    *("https://169.254.169.254/latest/meta-data/", "https://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/"),
    *("https://100.100.100.200/", "https://192.0.0.192/", "https://168.63.129.16/", "https://[2002:a9fe:a9fe::]/"),
    *("https://[fe80::1]/", "https://[fc00::1]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://224.0.0.1/"),
    *("https://240.0.0.1/", "https://255.255.255.255/", "https://192.0.2.1/", "https://[2001:db8::1]/"),
    *("https://[3fff::1]/", "https://192.88.99.1/", "https://[100::1]/", "https://[64:ff9b::a00:1]/"),
)  # fmt: skip


@pytest.mark.parametrize("url", TAKEN)
def test_what_is_taken(url: str) -> None:
    assert target_of(url) == TAKEN[url]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(RefusedTarget):
        target_of(url)


def test_tests_may_call_the_inside() -> None:
    assert target_of("http://127.0.0.1:8000/x", allow_private=True) == Target("http", "127.0.0.1", 8000, "/x")
    assert target_of("http://localhost", allow_private=True) == Target("http", "localhost", 80, "/")
    for url in ("ftp://127.0.0.1/", "http://u@127.0.0.1/", "http://2130706433/", "http://a_name/"):
        with pytest.raises(RefusedTarget):
            target_of(url, allow_private=True)


def test_what_the_host_header_says() -> None:
    said = {
        "https://a.example/": "a.example",
        "https://a.example:8443/": "a.example:8443",
        "https://[2606:4700:4700::1111]/": "[2606:4700:4700::1111]",
        "http://127.0.0.1/": "127.0.0.1",
        "http://127.0.0.1:8000/": "127.0.0.1:8000",
    }
    assert {url: target_of(url, allow_private=True).authority for url in said} == said


@pytest.mark.parametrize(
    ("address", "expected"),
    [("1.1.1.1", True), ("2606:4700::1", True), ("::ffff:1.1.1.1", True), ("64:ff9b::101:101", True),
     ("2002:101:101::", True), ("10.1.2.3", False), ("::ffff:10.1.2.3", False), ("fd12::1", False)],
)  # fmt: skip
def test_addresses_that_names_lead_to(address: str, expected: bool) -> None:
    assert is_public(address) is expected
