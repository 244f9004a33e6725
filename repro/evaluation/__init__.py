"""What a colouriser and its features are measured by."""
