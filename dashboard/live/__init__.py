"""The public Streamlit page (D5): the same status as the web's, with filters and charts. Read-only."""
