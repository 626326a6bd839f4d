"""The stand-in hub: a catalogue of public models, and tiny replicas that programs load without a network."""

from kohai.sandbox.hub.asked import asked_in_vain
from kohai.sandbox.hub.catalogue import Entry, read_catalogue
from kohai.sandbox.hub.replicas import Built, Replicas

__all__ = ["Built", "Entry", "Replicas", "asked_in_vain", "read_catalogue"]
