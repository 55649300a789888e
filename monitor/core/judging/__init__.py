"""What evaluation does over a store: components and their incidents, alerts and who is told, people's commands."""
