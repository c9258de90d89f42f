"""What a step of each preset needs of an accelerator, and what published peaks make of that."""
