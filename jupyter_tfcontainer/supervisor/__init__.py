"""What runs inside the container, and the side of it that we hold (``client.py``)."""
