"""Whole networks of the course's interface, checked layer by layer."""

from gradcheck.network.check import check_network

__all__ = ["check_network"]
