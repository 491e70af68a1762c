"""What goes wrong around kernels, done on purpose, and what is left, lost and told then (``make faults``)."""
