"""One container and the kernel in it: create, boot, exit, adopt, clean up."""
