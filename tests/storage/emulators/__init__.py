"""Servers that speak the protocols of object stores, started by the tests that need them."""
