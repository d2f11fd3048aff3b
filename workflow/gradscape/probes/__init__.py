"""What is measured on a network while, or after, it trains."""
