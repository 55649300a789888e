"""Reading of one answer: its bytes, its words, its end, and whose trouble it is if it is none."""
