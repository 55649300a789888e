"""The on-call console: Streamlit on loopback, behind a log-in; the only door that acts."""
