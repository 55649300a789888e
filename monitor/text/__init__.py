"""The words for the closed sets, once, in every language: for pages, console, notices and log.

Beside the core: it knows the nouns and the standard library, and neither a page nor a channel. What needs a library to
be said (numbers, dates, the names of countries) stays where it is said.
"""
