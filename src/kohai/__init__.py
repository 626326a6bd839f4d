"""Kohai (後輩, the junior): teach a small language model to call your API so that the code runs."""
