"""What a step costs on many devices: measured here, and predicted from published numbers."""
