"""One frozen base, several roles (policy, reference, reward, value) as adapters and heads on it.

The lowest layer that may import torch. `base` fetches and loads, `adapters` adds and swaps, `packing` lays prompts and
completions into one row, `generate` decodes, `tuning` fine-tunes on pairs, `scoring` reads log-probabilities and hidden
states, `losses` is the pure maths, `reviewer` and `reward` are the two judges made of the base.
"""
