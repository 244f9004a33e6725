"""What the pages draw, show, and keep."""
