"""Where the guard stands before name servers: those that somebody named are targets, the machine's own is not."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.core.model.reasons import Reason
from monitor.wire import Wire, WireError
from tests.edges.places import mounted

ROOT = Path(__file__).parent.parent.parent


def refused(*servers: str, allow: Sequence[str] = ()) -> WireError:
    with pytest.raises(WireError) as caught:
        asyncio.run(Wire(allow_networks=allow).ask_name(servers, "chat.example.com", "A", 0.2))
    assert caught.value.reason is Reason.ADDRESS
    return caught.value


@pytest.mark.parametrize(
    "server",
    ["127.0.0.1", "127.0.0.53:5353", "::1", "[::ffff:127.0.0.1]:53", "10.0.0.53", "fe80::1", "64:ff9b::10.0.0.1"],
)
def test_a_named_name_server_passes_the_guard_in_whatever_clothes_it_comes(server: str) -> None:
    assert "is refused: " in refused(server).detail


def test_no_allow_list_makes_a_metadata_service_a_name_server() -> None:
    for server in ("169.254.169.254", "169.254.169.253:53", "::ffff:169.254.169.253"):
        assert refused(server, allow=["0.0.0.0/0", "::/0"]).detail.endswith("a cloud metadata service")


def test_nobody_is_asked_while_one_of_those_named_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as allowed:
        allowed.bind(("127.0.0.1", 0))
        allowed.settimeout(0.2)
        error = refused(f"127.0.0.1:{allowed.getsockname()[1]}", "10.0.0.53", allow=["127.0.0.0/8"])
        assert error.address == "10.0.0.53"
        with pytest.raises(TimeoutError):
            allowed.recvfrom(512)


def test_the_machines_own_name_server_is_asked_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    own = mounted(f"mount --bind '{tmp_path}/resolv.conf' /etc/resolv.conf")
    program = (
        "import asyncio; from monitor.wire import Wire; "
        "print([one.server for one in asyncio.run(Wire().ask_name((), 'chat.example.com', 'A', 0.2))])"
    )
    done = subprocess.run(
        [*own, sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "['127.0.0.77']\n", done.stderr
