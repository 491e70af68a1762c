"""What runs inside the container: Python 2.7 to the newest, and nothing of ours."""
