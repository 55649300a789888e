"""Three doors, one look: the public page, the Streamlit status page, the on-call console."""
