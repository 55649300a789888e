"""The on-call console: Streamlit on loopback, shut until somebody signs in, every act through its ``act``."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st

from dashboard.console import audit, inbox, incidents, probes, review, shared, silences, tickets
from dashboard.console.act import Console
from dashboard.data import database_url
from dashboard.palette import DARK, variables
from dashboard.words import Words, words_for
from monitor import clock
from monitor.flow.accounts import Visitor
from monitor.runtime.trouble import trouble_of
from monitor.runtime.visitors import source_of
from monitor.store import reads
from monitor.store.connection.engine import AWAY, StoreError
from monitor.text.cleaner import plain
from monitor.text.messages import worded

EVERY_S = 10
TOKEN = re.compile(r"[A-Za-z0-9_-]{40,60}")
STYLE = """<style>
[data-testid="stMainBlockContainer"]{max-width:1240px;padding:5rem 1.5rem 3rem}
[data-testid="stHeader"]{border-bottom:1px solid color-mix(in srgb,currentcolor 12%,transparent)}
[data-testid="stHtml"] p.line{margin:0;font-size:14px;line-height:20px;overflow-wrap:anywhere}
[data-testid="stHtml"] .dim{opacity:.72}
[data-testid="stHtml"] .counts{font-size:18px;margin:.25rem 0}
[data-testid="stHtml"] .empty{padding:1rem 0}
[data-testid="stHtml"] .tag{font-size:12px;border:1px solid color-mix(in srgb,currentcolor 30%,transparent);
  border-radius:3px;padding:0 5px;margin-left:6px}
[data-testid="stHtml"] [data-state=acknowledged] b{font-weight:400}
[data-testid="stHtml"] h3{font-size:14px;font-weight:600;padding:.25rem 0;margin:0}
[data-testid="stHtml"] table{width:100%;border-collapse:collapse;font-size:13px}
[data-testid="stHtml"] th{text-align:left;font-weight:600}
[data-testid="stHtml"] td,[data-testid="stHtml"] th{padding:4px 14px 4px 0;vertical-align:top;overflow-wrap:anywhere;
  border-bottom:1px solid color-mix(in srgb,currentcolor 14%,transparent)}
[data-testid="stHtml"] .scroll{overflow-x:auto}
[class*="st-key-alert-"]{border-top:1px solid color-mix(in srgb,currentcolor 14%,transparent);padding-top:6px}
[class*="st-key-alert-"] [data-testid="stExpander"] details{border:0}
[class*="st-key-alert-"] summary{padding:2px 0;font-size:13px;opacity:.8}
@media(max-width:640px){[data-testid="stHtml"] .scroll table{min-width:620px}
[class*="st-key-alert-"] [data-testid="stHorizontalBlock"]{gap:4px 16px}
[class*="st-key-alert-"] [data-testid="stColumn"]{flex:0 1 auto!important;width:auto!important;min-width:0!important}
[class*="st-key-alert-"] [data-testid="stColumn"]:is(:first-child,:last-child){flex:1 1 100%!important}
[class*="st-key-judge-"]{border-top:1px solid color-mix(in srgb,currentcolor 14%,transparent);padding-top:8px}
[class*="st-key-judge-"] [data-testid="stHorizontalBlock"]{gap:8px}
[class*="st-key-judge-"] [data-testid="stColumn"]{flex:1 1 calc(50% - 8px)!important;min-width:0!important}
[class*="st-key-judge-"] [data-testid="stColumn"]:first-child{flex-basis:100%!important}}
</style>"""
MARKS = f"""<style>
[data-testid="stHtml"]{{{variables(DARK)}}}
.mark{{display:inline-block;width:11px;height:11px;margin-right:6px;vertical-align:-1px;border-radius:50%}}
.mark.operational{{background:var(--operational)}}.mark.major_outage{{background:var(--major_outage);border-radius:2px}}
.mark.degraded_performance{{background:linear-gradient(90deg,var(--degraded_performance) 50%,transparent 50%);
  border:2px solid var(--degraded_performance)}}
.mark.partial_outage{{background:var(--partial_outage);border-radius:0;width:13px;
  clip-path:polygon(50% 4%,100% 96%,0 96%)}}
.mark.unknown{{background:repeating-linear-gradient(135deg,var(--hatch) 0 1.5px,transparent 1.5px 4px);
  border:1.5px solid var(--hatch)}}
.mark.maintenance{{background:var(--maintenance);transform:rotate(45deg) scale(.86);border-radius:1px}}
</style>"""


@st.cache_resource
def open_console(url: str) -> Console:
    """Return what the process keeps: its database and the brake on passwords."""
    return Console(url)


def token_of_visit() -> str:
    """Return the session's token: of this visit, else of the browser's cookie."""
    held = str(st.session_state.get("token", ""))
    if held or st.session_state.get("left"):
        return held
    sent = str(st.context.cookies.get(tickets.COOKIE, ""))
    return sent if TOKEN.fullmatch(sent) else ""


def set_cookie(token: str) -> None:
    """Let the browser fetch the token as a cookie for this host alone, or, if empty, have it removed."""
    ticket = tickets.leave(token)
    st.html(f'<script src="{tickets.SCRIPT}" data-ticket="{ticket}"></script>', unsafe_allow_javascript=True)


def sign_in(console: Console, words: Words) -> None:
    """Draw the sign-in form; without any account, how to add one."""
    _, middle, _ = st.columns([1, 1.2, 1])
    with middle:
        st.html(f"<h1>Chatwatch · {words('console')}</h1>")
        shared.answer()
        if not console.anybody():
            st.html(f"<p><b>{words('no_accounts')}</b></p><p>{words('no_accounts_hint')}</p>")
            st.code("chatwatch user add NAME", language=None)
            return
        with st.form("sign-in"):
            name = st.text_input(words("user"), autocomplete="username")
            password = st.text_input(words("password"), type="password", autocomplete="current-password")
            sent = st.form_submit_button(words("sign_in"), type="primary", width="stretch")
        if sent:
            token, wait_s = console.sign_in(name, password, clock.now(), source_of(st.context.ip_address))
            if not token:
                st.error(words("wrong_password"), icon=":material/block:")
                if wait_s:
                    st.error(words("too_many_tries", duration=words.duration(wait_s)), icon=":material/timer:")
                return
            st.session_state.update(token=token, left=False, fresh=True)
            st.rerun()


def page(draw: Callable[[shared.ConsoleSession], None], redrawn: bool) -> Callable[[], None]:
    """Return a page in one top-level fragment; each drawing asks the database again who this is."""

    @st.fragment(run_every=EVERY_S if redrawn else None)
    def body() -> None:
        try:
            signed_in()
        except (StoreError, *AWAY):
            no_database(words_of_visit())

    def signed_in() -> None:
        console, now, token = open_console(database_url()), clock.now(), token_of_visit()
        who = console.who(token, now)
        if who is None:
            st.rerun(scope="app")
        shared.answer()
        draw(shared.ConsoleSession(console, token, not who.role.may_act, words_of_visit(), "dark", now))

    return body


def words_of_visit() -> Words:
    """Return the words of this visit, with times in the browser's zone."""
    return words_for(st.query_params.get("lang", ""), st.context.locale or "", st.context.timezone or "UTC")


def main() -> None:
    """Draw the sign-in form or the console."""
    words = words_of_visit()
    st.set_page_config(page_title=f"Chatwatch · {words('console')}", layout="wide", initial_sidebar_state="collapsed")
    st.html(STYLE + MARKS)
    trouble(words)
    try:
        console = open_console(database_url())
        who = console.who(token_of_visit(), clock.now())
        pages = [
            st.Page(page(inbox.draw, True), title=words("inbox"), default=True),
            st.Page(page(incidents.draw, False), title=words("incidents"), url_path="incidents"),
            st.Page(page(silences.draw, False), title=words("silences"), url_path="silences"),
            st.Page(page(review.draw, False), title=words("review_page"), url_path="review"),
            st.Page(page(probes.draw, True), title=words("probes"), url_path="probes"),
            st.Page(page(audit.draw, False), title=words("audit"), url_path="audit"),
            st.Page(page(inbox.draw, True), title=words("inbox"), url_path="inbox", visibility="hidden"),
        ]
        chosen = st.navigation(pages, position="top" if who else "hidden")
        if st.session_state.pop("fresh", False):  # in the run after: a rerun drops what was drawn just before it
            set_cookie(str(st.session_state["token"]))
        if who is None:
            sign_in(console, words)
            return
        chosen.run()
        sign_out(console, who, words)
    except (StoreError, *AWAY):
        no_database(words)


def no_database(words: Words) -> None:
    """Draw that the database cannot be opened and what to do, which is something else once it was in use."""
    st.html(f"<p><b>{words('no_database')}</b></p>")
    if trouble_of(database_url()) is None:
        st.html(f"<p>{words('no_database_hint')}</p>")
        st.code("chatwatch migrate", language=None)


def trouble(words: Words) -> None:
    """Draw what a worker found wrong with the database and what a person is to do, while it lasts."""
    found = trouble_of(database_url())
    if found is None:
        return
    try:
        as_of = reads.snapshot(open_console(database_url()).engine, clock.now(), public=False, history=False).as_of
    except (StoreError, *AWAY):
        as_of = None
    if as_of is None or as_of <= found.since:
        said = words.fill("rule", "store", why=worded(found.what, words))
        todo = f"{words.section('fact', 'todo')}: {worded(found.todo, words)}"
        st.error(plain(f"{said} · {shared.since(words, found.since)}. {todo}", 600), icon=":material/database_off:")


def sign_out(console: Console, who: Visitor, words: Words) -> None:
    """Draw the way out: the session ends on our side, then in the browser."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        named = words("signed_in_as", name=who.name) + ("" if who.role.may_act else f" ({words('may_look')})")
        st.html(f'<p class="line dim">{named} · {words("zone_local", zone=words.zone_label)}</p>')
        if st.button(words("sign_out"), key="sign-out", type="tertiary"):
            console.sign_out(token_of_visit())
            st.session_state.update(token="", left=True, fresh=True)
            st.rerun()


main()
