"""What both processes need: typed messages, frames, and the supervisor that keeps them running."""
