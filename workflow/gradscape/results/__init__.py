"""What a finished run says: its tables read back, and the numbers worked out of them."""
