"""What runs inside the container (``start.sh``, ``supervisor.py``, ``kernel.py``) and the side of it that we hold (``client.py``)."""
