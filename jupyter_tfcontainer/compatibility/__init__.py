"""Which TensorFlow release runs on which card, driver and processor."""
