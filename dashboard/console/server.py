"""The console as an application: Streamlit's page, and the address at which a session gets its cookie."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.console.tickets import ROUTES

app = st.App(Path(__file__).with_name("app.py"), routes=ROUTES)
