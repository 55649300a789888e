"""The views of the two Streamlit doors: each only lays out."""
