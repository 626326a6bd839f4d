"""Makes tiny replicas of public models; runs in an image's interpreter and imports nothing of Kohai's.

A replica has what programs meet: the real class, configuration keys, tokenizer kind, special tokens, labels and length
limits. It has not the weights: they are random and few, so what it answers means nothing.
"""
