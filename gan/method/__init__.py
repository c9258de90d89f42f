"""What the method section of a paper names: the game, its objectives, updates, rules and step."""
