"""Who can sign up: claims of sources, what each place sees, and the word over all ways."""
