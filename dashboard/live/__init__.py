"""The public Streamlit page: the same status as the web's, with filters and charts. Read-only."""
