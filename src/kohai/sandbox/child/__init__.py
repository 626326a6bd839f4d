"""What runs in a worker: standard library only, and nothing else of Kohai but `sandbox.state`."""
