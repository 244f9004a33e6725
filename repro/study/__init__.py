"""The forced-choice study: which of two pictures was recoloured by a computer? (paper, section 3.1)."""
