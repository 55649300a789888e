"""Name servers of Debian, each authoritative for a zone of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import dns.flags
import dns.message

from tests.corpus.capture.running import Server, Wish, debian, free_port, over_udp, program, running

ZONE = """$ORIGIN {zone}.
$TTL 300
@ SOA ns1 admin 1 3600 600 86400 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.10
www A 192.0.2.11
www AAAA 2001:db8::10
alias CNAME www
mail MX 10 mx1.{zone}.
mail MX 20 MX2.{zone}.
text TXT "v=spf1 include:" "mail.example -all"
text TXT "quoted \\"words\\""
ca CAA 0 issue "letsencrypt.org"
svc HTTPS 1 . alpn=h2 ipv4hint=192.0.2.10
_sip._tcp SRV 10 60 5060 www
*.wild A 192.0.2.99
"""


def ask(name: str, record: str = "A", id: str = "", **options: object) -> Wish:  # noqa: A002  # the wish's own word
    """Return the wish for the answer to a question."""
    query = dns.message.make_query(name, record, use_edns=True)
    query.id = 4711
    return Wish(id or record.lower(), query.to_wire(), "dns", {"name": name, "record": record, **options})


def zone_of(zone: str) -> tuple[Wish, ...]:
    """Return what is asked of a zone."""
    return (
        ask(f"www.{zone}"), ask(f"www.{zone}", "AAAA"), ask(f"alias.{zone}", id="alias"),
        ask(f"mail.{zone}", "MX"), ask(f"text.{zone}", "TXT"), ask(f"ca.{zone}", "CAA"), ask(f"svc.{zone}", "HTTPS"),
        ask(f"_sip._tcp.{zone}", "SRV"), ask(f"{zone}", "NS"), ask(f"WWW.{zone.upper()}", id="capitals"),
        ask(f"none.{zone}", id="no-such-name"), ask(f"ca.{zone}", "A", id="no-such-record"),
        ask(f"x.wild.{zone}", id="wildcard"), ask(f"www.not-{zone}", id="refused"),
    )  # fmt: skip


def authority(
    zone: str, command: Callable[[Path, int], list[str]]
) -> Callable[[Path], AbstractContextManager[dict[str, int]]]:
    """Return what runs an authoritative server."""

    @contextmanager
    def start(folder: Path) -> Iterator[dict[str, int]]:
        port = free_port()
        (folder / "zone").write_text(ZONE.format(zone=zone))
        with running(command(folder, port), port, cwd=folder):
            yield {"main": port}

    return start


def knot(folder: Path, port: int) -> list[str]:
    """Write Knot's configuration."""
    (folder / "knot.conf").write_text(
        f"server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\ndatabase:\n  storage: {folder}\n"
        f"zone:\n  - domain: knot.example\n    file: {folder}/zone\n"
    )
    return [program("knotd", "/usr/sbin"), "-c", str(folder / "knot.conf")]


def bind(folder: Path, port: int) -> list[str]:
    """Write BIND's configuration."""
    (folder / "named.conf").write_text(
        f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n'
        f'  recursion no; pid-file "{folder}/pid"; session-keyfile "{folder}/key"; }};\ncontrols {{ }};\n'
        f'zone "bind.example" {{ type primary; file "{folder}/zone"; }};\n'
        f'zone "broken.example" {{ type primary; file "{folder}/none"; }};\n'
    )
    return [program("named", "/usr/sbin"), "-f", "-c", str(folder / "named.conf")]


def unbound(folder: Path, port: int) -> list[str]:
    """Write Unbound's configuration: data of its own."""
    (folder / "unbound.conf").write_text(
        f'server:\n  interface: 127.0.0.1@{port}\n  port: {port}\n  username: ""\n  chroot: ""\n  directory: "{folder}"\n'
        f'  pidfile: "{folder}/pid"\n  use-syslog: no\n  do-not-query-localhost: no\n  module-config: "iterator"\n'
        '  local-data: "www.unbound.example. A 192.0.2.20"\n  local-zone: "gone.example." always_nxdomain\n'
        '  local-zone: "no.example." always_refuse\nremote-control:\n  control-enable: no\n'
    )
    return [program("unbound", "/usr/sbin"), "-d", "-c", str(folder / "unbound.conf")]


@contextmanager
def dnsmasq(folder: Path) -> Iterator[dict[str, int]]:
    """Run dnsmasq with a few names."""
    port = free_port()
    command = [
        program("dnsmasq", "/usr/sbin"),
        "-k",
        "-p",
        str(port),
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
    ]
    command += ["--no-resolv", "--no-hosts", "--conf-file=/dev/null", f"--pid-file={folder}/pid", "--user=root"]
    command += ["--address=/www.dnsmasq.example/192.0.2.30", "--txt-record=text.dnsmasq.example,one,two"]
    command += ["--local=/dnsmasq.example/"]
    with running(command, port, cwd=folder):
        yield {"main": port}


SERVERS = (
    Server("knot", "Debian: knot", debian("knot"), authority("knot.example", knot), zone_of("knot.example"), ask=over_udp),
    Server("bind", "Debian: bind9", debian("bind9"), authority("bind.example", bind), (*zone_of("bind.example"), ask("www.broken.example", id="broken-zone")), ask=over_udp),
    Server("unbound", "Debian: unbound", debian("unbound"), authority("unbound.example", unbound), (
        ask("www.unbound.example"), ask("x.gone.example", id="no-such-name"), ask("x.no.example", id="refused"),
    ), ask=over_udp),
    Server("dnsmasq", "Debian: dnsmasq-base", debian("dnsmasq-base"), dnsmasq, (
        ask("www.dnsmasq.example"), ask("text.dnsmasq.example", "TXT"), ask("none.dnsmasq.example", id="no-such-name"),
        ask("www.other.example", id="refused"),
    ), ask=over_udp),
)  # fmt: skip
