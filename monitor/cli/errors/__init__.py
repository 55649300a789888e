"""``chatwatch ask``: an error as people have it, judged by the taxonomy of the probes, beside what is measured now."""
