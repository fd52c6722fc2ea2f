"""What the hooks do: check the answers, lock production's versions, prove it, and finish the project."""
