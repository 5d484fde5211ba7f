"""Which hosts may be reached, what a proxy is asked, and how fast bytes may pass."""

import asyncio

import pytest
from pydantic import ValidationError

from devteam.adapters.egress import Bandwidth, Reach, TokenBucket
from devteam.adapters.egress.request import BadRequest, read_request
from devteam.adapters.egress.target import NotAllowed, Target, Unreachable, addresses_of, read_target
from devteam.kit.ids import new_id
from devteam.projects.egress import EgressRule, is_allowed
from devteam.projects.schemas import ProjectInput

RULES = [EgressRule.parse(text) for text in ("pypi.test", "*.files.test", "registry.test:4873", "*.deep.test:8443")]


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("pypi.test", 443, True),
        ("PyPI.test.", 80, True),
        ("pypi.test", 8080, False),
        ("evil-pypi.test", 443, False),
        ("pypi.test.evil.test", 443, False),
        ("sub.pypi.test", 443, False),
        ("a.files.test", 443, True),
        ("a.b.files.test", 443, True),
        ("files.test", 443, False),
        ("evilfiles.test", 443, False),
        ("registry.test", 4873, True),
        ("registry.test", 443, False),
        ("x.deep.test", 8443, True),
        ("x.deep.test", 443, False),
        ("", 443, False),
    ],
)
def test_only_hosts_on_the_list_are_allowed(host: str, port: int, allowed: bool) -> None:
    assert is_allowed(RULES, host, port) is allowed


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "a b", "http://a.test", "a.test/path", "a.test:", "a.test:0", "a.test:65536", "a.test:x", "a..test",
     "-a.test", "*a.test", "a.*.test", "münchen.test", "[::1]:80", "a.test:1:2", "x" * 254],
)  # fmt: skip
def test_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is no host name|names no port"):
        EgressRule.parse(entry)
    with pytest.raises(ValidationError):
        ProjectInput.model_validate({"name": "P", "repository": "/r", "egressAllow": [entry]})


def test_list_is_kept_in_plain_form_each_entry_once() -> None:
    wanted = ["PyPI.test", "pypi.test.", "*.Files.test:443", "10.0.0.5:8080"]
    project = ProjectInput.model_validate({"name": "P", "repository": "/r", "egressAllow": wanted})
    assert project.egress_allow == ["pypi.test", "*.files.test:443", "10.0.0.5:8080"]


def reach(host: str, port: int = 443, *, allow: str = "", found: str = "", private: bool = False) -> list[str]:
    """The addresses for a host; `found` is what it is looked up as, and looking up what is not allowed fails."""

    async def resolve(name: str, _: int) -> list[str]:
        if not found:
            raise AssertionError(f"{name} was looked up")
        return found.split()

    rules = [EgressRule.parse(text) for text in allow.split()]
    asked = addresses_of(Target(host, port), rules, Reach.PRIVATE if private else Reach.PUBLIC, resolve)
    return asyncio.run(asked)


def refused(host: str, port: int = 443, *, allow: str = "", found: str = "", private: bool = False) -> str:
    with pytest.raises(NotAllowed) as refusal:
        reach(host, port, allow=allow, found=found, private=private)
    return refusal.value.code


def test_name_that_is_not_allowed_is_refused_without_being_looked_up() -> None:
    assert refused("secret-of-the-customer.evil.test") == "host_refused"
    assert refused("93.184.216.34") == "host_refused"


def test_allowed_name_is_connected_by_the_addresses_that_were_judged() -> None:
    assert reach("a.test", allow="a.test", found="93.184.216.34 2606:2800:220:1::1") == [
        "93.184.216.34",
        "2606:2800:220:1::1",
    ]
    assert reach("a.test", allow="a.test", found="10.0.0.1 93.184.216.34") == ["93.184.216.34"]


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "10.1.2.3", "192.168.0.1",
     "::1", "::ffff:127.0.0.1", "fd00:ec2::254", "fe80::1", "0.0.0.0", "localhost", "x.localhost",
     "metadata.google.internal", "100.100.100.200", "224.0.0.1"],
)  # fmt: skip
def test_address_inside_is_refused_as_an_attack_however_it_is_written(host: str) -> None:
    assert refused(host, 80) == "private_address_refused"
    assert refused(host, 80, private=True) == "private_address_refused", "the operator's word is for what is listed"


@pytest.mark.parametrize("host", ["169.254.169.254", "100.100.100.200"])
def test_metadata_stays_closed_whatever_is_listed(host: str) -> None:
    assert refused(host, 80, allow=host, private=True) == "private_address_refused"


def test_private_registry_needs_the_list_and_the_operator() -> None:
    assert refused("10.0.0.5", 4873, allow="10.0.0.5:4873") == "private_address_refused"
    assert reach("10.0.0.5", 4873, allow="10.0.0.5:4873", private=True) == ["10.0.0.5"]
    assert refused("npm.corp.test", allow="npm.corp.test", found="10.0.0.5") == "host_refused"
    assert reach("npm.corp.test", allow="npm.corp.test", found="10.0.0.5", private=True) == ["10.0.0.5"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_allowed_name_that_turns_to_this_machine_is_an_attack(address: str) -> None:
    for private in (False, True):
        assert refused("a.test", allow="a.test", found=address, private=private) == "private_address_refused"


def test_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        reach("a.test", allow="a.test", found=" ")


@pytest.mark.parametrize(
    ("authority", "target"),
    [("A.test:443", Target("a.test", 443)), ("a.test.", Target("a.test", 80)), ("[::1]:8080", Target("::1", 8080))],
)
def test_target_is_read_in_plain_form(authority: str, target: Target) -> None:
    assert read_target(authority, 80) == target


@pytest.mark.parametrize(
    "authority", ["", ":80", "a.test:", "a.test:99999", "a.test:-1", "[::1", "a\tb:80", "a.test:٣"]
)
def test_target_that_cannot_be_read_is_refused(authority: str) -> None:
    with pytest.raises(ValueError, match="no host and port"):
        read_target(authority, 80)


def test_request_is_rewritten_for_the_server_without_what_is_the_proxys() -> None:
    asked = read_request(
        b"POST http://user:pw@a.test:8080/x/y?z=1#f HTTP/1.1\r\nHost: other.test\r\nProxy-Authorization: Basic eDp5\r\n"
        b"Connection: keep-alive\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n"
    )
    assert asked.target == Target("a.test", 8080)
    assert asked.head == (
        b"POST /x/y?z=1 HTTP/1.1\r\nHost: a.test:8080\r\nContent-Length: 5\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    assert asked.body == 5


def test_tunnel_and_bodies_without_a_length_are_told() -> None:
    assert read_request(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n").head is None
    chunked = read_request(b"PUT http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert chunked.body is None
    assert read_request(b"GET http://a.test HTTP/1.0\r\n\r\n").body == 0


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1", b"GET https://a.test/ HTTP/1.1", b"GET ftp://a.test/ HTTP/1.1", b"CONNECT a.test HTTP/1.1",
     b"TRACE http://a.test/ HTTP/1.1", b"nonsense", b"GET http://a.test/ HTTP/2", b"\xff\xfe HTTP/1.1 x",
     b"GET http://a.test/ HTTP/1.1\r\nContent-Length: -1", b"GET http://[a.test/ HTTP/1.1"],
)  # fmt: skip
def test_request_that_no_proxy_takes_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        read_request(head + b"\r\n\r\n")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(1000.0, 500.0, clock)
    assert bucket.take(500) == 0.0
    assert bucket.take(1000) == pytest.approx(1.0)
    clock.now += 1.0
    assert bucket.take(250) == pytest.approx(0.25)
    clock.now += 10.0
    assert bucket.take(500) == 0.0, "a pause fills it to the burst, and no further"
    assert bucket.take(1) == pytest.approx(0.001)


def test_bucket_carries_exactly_its_rate_over_time() -> None:
    clock = Clock()
    bucket = TokenBucket(1_000_000.0, 1000.0, clock)
    passed = 0
    while clock.now < 110.0:
        clock.now += bucket.take(10_000)
        passed += 10_000
    assert passed == pytest.approx(10_000_000, rel=0.01)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_bucket_needs_a_rate_and_a_burst(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(rate, burst)


def test_all_ways_of_an_attempt_share_one_bucket_and_attempts_do_not() -> None:
    clock = Clock()
    bandwidth = Bandwidth(8_000_000, clock)
    attempt = new_id()
    gateway, proxy, other = bandwidth.of(attempt), bandwidth.of(attempt), bandwidth.of(new_id())
    assert gateway.take(1_000_000 + 262_144) == pytest.approx(1.0)
    assert proxy.take(500_000) == pytest.approx(1.5)
    assert other.take(200_000) == 0.0
