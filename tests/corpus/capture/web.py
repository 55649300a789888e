"""Web servers and proxies of Debian, each with the same site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.corpus.capture.running import HOST, Server, Wish, debian, free_port, http, output, program, running
from tests.corpus.capture.site import COMMON, GUARDED, METHODS, OWN_SITE, PROXIED, certificate, site, troubled

NGINX = """
daemon off; error_log {folder}/error.log; pid {folder}/pid; worker_processes 1; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; default_type text/plain; types {{ text/html html; application/json json; }}
  gzip on; gzip_min_length 1; proxy_read_timeout 1s; proxy_connect_timeout 1s;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  limit_req_zone $server_name zone=one:1m rate=1r/m;
  server {{
    listen 127.0.0.1:{main}; listen 127.0.0.1:{tls} ssl; server_name {host}; root {root};
    ssl_certificate {cert}; ssl_certificate_key {key}; absolute_redirect on;
    location /old {{ return 301 /; }}
    location /private {{ deny all; }}
    location /key/ {{ auth_basic "Example"; auth_basic_user_file {folder}/none; }}
    location /maintenance {{ return 503; }}
    location /throttled {{ limit_req zone=one; limit_req_status 429; }}
    location /teapot {{ return 418 "short and stout"; }}
    location /gone {{ return 410; }}
    location /nothing {{ return 204; }}
    location /hangup {{ return 444; }}
    location /big {{ client_max_body_size 10; proxy_pass http://127.0.0.1:{nobody}/; }}
    location /nobody/ {{ proxy_pass http://127.0.0.1:{nobody}/; }}
    location /hangs/ {{ proxy_pass http://127.0.0.1:{hangs}/; }}
    location /closes/ {{ proxy_pass http://127.0.0.1:{closes}/; }}
    location /breaks/ {{ proxy_pass http://127.0.0.1:{breaks}/; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[dict[str, int]]:
    """Run nginx."""
    cert, key = certificate(folder)
    (folder / "none").write_text("")
    with troubled() as behind:
        ports = {"main": free_port(), "tls": free_port()}
        values = {"folder": folder, "root": site(folder), "host": HOST, "cert": cert, "key": key, **ports, **behind}
        (folder / "nginx.conf").write_text(NGINX.format(**values))
        command = [program("nginx", "/usr/sbin"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with running(command, ports["main"], cwd=folder):
            yield ports


CADDY = """
{{
  admin off
  auto_https off
  log {{
    output discard
  }}
}}
http://:{main} {{
  bind 127.0.0.1
  root * {root}
  encode gzip
  redir /old / 301
  respond /private/* 403
  respond /maintenance "Down for maintenance" 503
  basicauth /key/* {{
    alice {hash}
  }}
  handle_path /nobody/* {{
    reverse_proxy 127.0.0.1:{nobody}
  }}
  handle_path /hangs/* {{
    reverse_proxy 127.0.0.1:{hangs} {{
      transport http {{
        response_header_timeout 1s
      }}
    }}
  }}
  handle_path /closes/* {{
    reverse_proxy 127.0.0.1:{closes}
  }}
  handle_path /breaks/* {{
    reverse_proxy 127.0.0.1:{breaks}
  }}
  file_server
}}
"""


@contextmanager
def caddy(folder: Path) -> Iterator[dict[str, int]]:
    """Run Caddy."""
    with troubled() as behind:
        ports = {"main": free_port()}
        hashed = output(program("caddy"), "hash-password", "--plaintext", "unused").splitlines()[-1]
        text = CADDY.format(root=site(folder), hash=hashed, **ports, **behind)
        (folder / "Caddyfile").write_text(text)
        command = [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        with running(command, ports["main"], cwd=folder, env={"HOME": str(folder)}):
            yield ports


HAPROXY = """
global
  maxconn 64
defaults
  mode http
  timeout connect 1s
  timeout client 3s
  timeout server 1s
  retries 0
frontend web
  bind 127.0.0.1:{main}
  bind 127.0.0.1:{tls} ssl crt {folder}/both.pem
  http-request return status 200 content-type "text/html; charset=utf-8" file {root}/index.html if {{ path / }}
  http-request return status 200 content-type application/json file {root}/health.json if {{ path /health.json }}
  http-request return status 200 content-type text/plain file {root}/empty.txt if {{ path /empty.txt }}
  http-request redirect location / code 301 if {{ path /old }}
  http-request deny if {{ path_beg /private }}
  http-request deny deny_status 429 if {{ path /throttled }}
  http-request auth realm Example if {{ path_beg /key }}
  http-request tarpit if {{ path /tarpit }}
  timeout tarpit 500ms
  use_backend nobody if {{ path_beg /nobody }}
  use_backend hangs if {{ path_beg /hangs }}
  use_backend closes if {{ path_beg /closes }}
  use_backend breaks if {{ path_beg /breaks }}
  default_backend none
backend nobody
  server a 127.0.0.1:{nobody}
backend hangs
  server a 127.0.0.1:{hangs}
backend closes
  server a 127.0.0.1:{closes}
backend breaks
  server a 127.0.0.1:{breaks}
backend none
"""


@contextmanager
def haproxy(folder: Path) -> Iterator[dict[str, int]]:
    """Run HAProxy."""
    certificate(folder)
    with troubled() as behind:
        ports = {"main": free_port(), "tls": free_port()}
        (folder / "haproxy.cfg").write_text(HAPROXY.format(folder=folder, root=site(folder), **ports, **behind))
        command = [program("haproxy", "/usr/sbin"), "-f", str(folder / "haproxy.cfg"), "-db"]
        with running(command, ports["main"], cwd=folder):
            yield ports


APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName {host}
User www-data
Group www-data
Listen 127.0.0.1:{main}
{modules}
TypesConfig /etc/mime.types
DocumentRoot {root}
DirectoryIndex index.html
ProxyTimeout 1
<Directory {root}>
  Require all granted
</Directory>
<Location /private>
  Require all denied
</Location>
<Location /key>
  AuthType Basic
  AuthName Example
  AuthUserFile {folder}/none
  Require valid-user
</Location>
Redirect 301 /old http://{host}/
Redirect 503 /maintenance
Redirect 410 /gone
AddOutputFilterByType DEFLATE text/html
ProxyPass /nobody/ http://127.0.0.1:{nobody}/
ProxyPass /hangs/ http://127.0.0.1:{hangs}/
ProxyPass /closes/ http://127.0.0.1:{closes}/
ProxyPass /breaks/ http://127.0.0.1:{breaks}/
"""
MODULES = "mpm_event authz_core authz_user authn_core authn_file auth_basic mime dir alias deflate filter proxy proxy_http env"


@contextmanager
def apache(folder: Path) -> Iterator[dict[str, int]]:
    """Run Apache."""
    (folder / "none").write_text("")
    folder.chmod(0o755)
    with troubled() as behind:
        ports = {"main": free_port()}
        loads = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES.split()
        )
        values = {"folder": folder, "root": site(folder), "host": HOST, "modules": loads, **ports, **behind}
        (folder / "apache.conf").write_text(APACHE.format(**values))
        command = [program("apache2", "/usr/sbin"), "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
        with running(command, ports["main"], cwd=folder):
            yield ports


LIGHTTPD = """
server.document-root = "{root}"
server.port = {main}
server.bind = "127.0.0.1"
server.errorlog = "{folder}/error.log"
server.modules = ("mod_access", "mod_redirect", "mod_proxy", "mod_auth", "mod_deflate")
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html", ".json" => "application/json", ".txt" => "text/plain")
url.redirect = ("^/old" => "/")
$HTTP["url"] =~ "^/private" {{ url.access-deny = ("") }}
$HTTP["url"] =~ "^/nobody" {{ proxy.server = ("" => (("host" => "127.0.0.1", "port" => {nobody}))) }}
$HTTP["url"] =~ "^/closes" {{ proxy.server = ("" => (("host" => "127.0.0.1", "port" => {closes}))) }}
$HTTP["url"] =~ "^/breaks" {{ proxy.server = ("" => (("host" => "127.0.0.1", "port" => {breaks}))) }}
"""


@contextmanager
def lighttpd(folder: Path) -> Iterator[dict[str, int]]:
    """Run lighttpd."""
    with troubled() as behind:
        ports = {"main": free_port()}
        (folder / "lighttpd.conf").write_text(LIGHTTPD.format(folder=folder, root=site(folder), **ports, **behind))
        command = [program("lighttpd", "/usr/sbin"), "-D", "-f", str(folder / "lighttpd.conf")]
        with running(command, ports["main"], cwd=folder):
            yield ports


VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{nobody}"; }}
backend hangs {{ .host = "127.0.0.1"; .port = "{hangs}"; .first_byte_timeout = 1s; }}
backend breaks {{ .host = "127.0.0.1"; .port = "{breaks}"; }}
sub vcl_recv {{
  if (req.url ~ "^/hangs") {{ set req.backend_hint = hangs; }}
  if (req.url ~ "^/breaks") {{ set req.backend_hint = breaks; }}
  if (req.url ~ "^/private") {{ return (synth(403)); }}
  if (req.url ~ "^/throttled") {{ return (synth(429, "Too Many")); }}
  if (req.url ~ "^/maintenance") {{ return (synth(503, "Backend fetch failed")); }}
}}
"""


@contextmanager
def varnish(folder: Path) -> Iterator[dict[str, int]]:
    """Run Varnish in front of upstreams in trouble."""
    with troubled() as behind:
        ports = {"main": free_port()}
        (folder / "default.vcl").write_text(VARNISH.format(**ports, **behind))
        command = [program("varnishd", "/usr/sbin"), "-F", "-n", str(folder / "n"), "-f", str(folder / "default.vcl")]
        command += ["-a", f"127.0.0.1:{ports['main']}", "-s", "malloc,16m", "-j", "none"]
        with running(command, ports["main"], cwd=folder):
            yield ports


TOMCAT = """<?xml version="1.0"?>
<Server port="-1"><Service name="Catalina">
  <Connector port="{main}" address="127.0.0.1" protocol="HTTP/1.1" compression="on" compressionMinSize="1"/>
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps" unpackWARs="false"/></Engine>
</Service></Server>
"""


@contextmanager
def tomcat(folder: Path) -> Iterator[dict[str, int]]:
    """Run Tomcat with the site as its root application."""
    ports = {"main": free_port()}
    for name in ("conf", "webapps", "logs", "temp", "work"):
        (folder / name).mkdir()
    site(folder).rename(folder / "webapps" / "ROOT")
    (folder / "conf" / "server.xml").write_text(TOMCAT.format(**ports))
    for name in ("web.xml", "context.xml"):
        shutil.copy(f"/etc/tomcat10/{name}", folder / "conf" / name)
    root = folder / "webapps" / "ROOT"
    (root / "broken.jsp").write_text('<% throw new IllegalStateException("no database"); %>\n')
    (root / "hello.jsp").write_text('<%@ page contentType="text/html; charset=UTF-8" %><h1>Example Chat</h1>\n')
    home = "/usr/share/tomcat10"
    command = ["java", f"-Dcatalina.home={home}", f"-Dcatalina.base={folder}", f"-Djava.io.tmpdir={folder}/temp", "-cp"]
    command += [
        f"{home}/bin/bootstrap.jar:{home}/bin/tomcat-juli.jar",
        "org.apache.catalina.startup.Bootstrap",
        "start",
    ]
    with running(command, ports["main"], cwd=folder):
        yield ports


SERVERS = (
    Server("nginx", "Debian: nginx-light", debian("nginx"), nginx, (
        *COMMON, *GUARDED, *PROXIED, *METHODS,
        Wish("gone", http("GET", "/gone")), Wish("teapot", http("GET", "/teapot")), Wish("nothing", http("GET", "/nothing")),
        Wish("hangup", http("GET", "/hangup")), Wish("first", http("GET", "/throttled")),
        Wish("throttled", http("GET", "/throttled")), Wish("plain-at-tls", http("GET", "/"), port="tls"),
        Wish("big", http("POST", "/big", body=b"a" * 100)),
        Wish("chat-nobody-behind", http("POST", "/nobody/chat/completions", body=b"{}"), "chat"),
        Wish("chat-hangs-behind", http("POST", "/hangs/chat/completions", body=b"{}"), "chat"),
        Wish("chat-needs-a-key", http("POST", "/key/chat/completions", body=b"{}"), "chat"),
    )),
    Server("caddy", "Debian: caddy", debian("caddy"), caddy, (*COMMON, *GUARDED, *PROXIED, *METHODS)),
    Server("haproxy", "Debian: haproxy", debian("haproxy"), haproxy, (
        *(one for one in COMMON if one.id not in ("latin1", "part", "page-zipped")),
        *(one for one in GUARDED if one.id not in ("folder", "maintenance")), *PROXIED,
        Wish("throttled", http("GET", "/throttled")), Wish("tarpit", http("GET", "/tarpit")),
        Wish("plain-at-tls", http("GET", "/"), port="tls"),
        Wish("chat-nobody-behind", http("POST", "/nobody/chat/completions", body=b"{}"), "chat"),
    )),
    Server("apache", "Debian: apache2", debian("apache2"), apache, (*COMMON, *GUARDED, *PROXIED, *METHODS, Wish("gone", http("GET", "/gone")))),
    Server("lighttpd", "Debian: lighttpd", debian("lighttpd"), lighttpd, (
        *COMMON, Wish("moved", http("GET", "/old"), options=OWN_SITE), Wish("folder", http("GET", "/docs"), options=OWN_SITE),
        Wish("forbidden", http("GET", "/private/x.txt")), *(one for one in PROXIED if one.id != "hangs-behind"), *METHODS,
    )),
    Server("varnish", "Debian: varnish", debian("varnish"), varnish, (
        Wish("nobody-behind", http("GET", "/")), Wish("hangs-behind", http("GET", "/hangs")),
        Wish("breaks-behind", http("GET", "/breaks")), Wish("forbidden", http("GET", "/private/x")),
        Wish("throttled", http("GET", "/throttled")), Wish("maintenance", http("GET", "/maintenance")),
        Wish("no-such-request", b"NONSENSE\r\n\r\n"),
    )),
    Server("tomcat", "Debian: tomcat10", debian("tomcat10"), tomcat, (
        *COMMON, Wish("folder", http("GET", "/docs"), options=OWN_SITE), Wish("broken", http("GET", "/broken.jsp")),
        Wish("made", http("GET", "/hello.jsp")), *METHODS,
    )),
)  # fmt: skip
