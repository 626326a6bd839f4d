"""Requests by area: for each callable the code and its wordings."""
