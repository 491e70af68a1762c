"""Environments: what a person picks. Each is a kernelspec, validated, stored and exported."""
