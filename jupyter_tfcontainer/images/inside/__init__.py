"""What runs in an image: Python 2.7 to the newest, and nothing but its standard library."""
