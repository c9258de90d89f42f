"""What every command shares: flags, errors, processes."""
