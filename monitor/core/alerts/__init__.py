"""What holds, who is told of it, and the reason when nobody is."""
