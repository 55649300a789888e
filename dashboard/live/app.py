"""The Streamlit status page: the same page as the web's, with filters and charts. Read-only, holds no secret."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.live import charts, history, method, overview, shared

EVERY_S = 15


def page(draw: Callable[[shared.Visit], None]) -> Callable[[], None]:
    """Return a page: its own top-level fragment, redrawn by itself."""

    @st.fragment(run_every=EVERY_S)
    def body() -> None:
        shared.frame(draw)

    return body


def main() -> None:
    """Draw the page that the address names."""
    words = shared.words_of_visit()
    st.set_page_config(page_title=f"Chatwatch · {words('title')}", layout="wide", initial_sidebar_state="collapsed")
    pages = [
        st.Page(page(overview.draw), title=words("overview"), default=True),
        st.Page(page(charts.draw), title=words("charts"), url_path="charts"),
        st.Page(page(history.draw), title=words("history"), url_path="history"),
        st.Page(page(method.draw), title=words("method"), url_path="method"),
        st.Page(page(overview.draw), title=words("overview"), url_path="overview", visibility="hidden"),
    ]
    shared.style()
    st.navigation(pages, position="top").run()


main()
