"""Commands about what was recorded: played again, given away, kept, held back."""
