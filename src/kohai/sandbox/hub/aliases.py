"""Names that repositories had before they moved below an owner; the hub answers to both."""

from __future__ import annotations

_MOVED = {
    "openai-community": "gpt2 gpt2-medium gpt2-large gpt2-xl openai-gpt roberta-base-openai-detector "
    "roberta-large-openai-detector",
    "google-bert": "bert-base-uncased bert-base-cased bert-large-uncased bert-large-cased bert-base-chinese "
    "bert-base-multilingual-uncased bert-base-multilingual-cased bert-base-german-cased "
    "bert-large-uncased-whole-word-masking bert-large-cased-whole-word-masking bert-base-cased-finetuned-mrpc "
    "bert-large-uncased-whole-word-masking-finetuned-squad bert-large-cased-whole-word-masking-finetuned-squad",
    "distilbert": "distilbert-base-uncased distilbert-base-cased distilbert-base-multilingual-cased "
    "distilbert-base-german-cased distilbert-base-uncased-finetuned-sst-2-english "
    "distilbert-base-uncased-distilled-squad distilbert-base-cased-distilled-squad distilgpt2 distilroberta-base",
    "FacebookAI": "roberta-base roberta-large roberta-large-mnli xlm-roberta-base xlm-roberta-large "
    "xlm-roberta-large-finetuned-conll03-english xlm-roberta-large-finetuned-conll03-german "
    "xlm-roberta-large-finetuned-conll02-dutch xlm-roberta-large-finetuned-conll02-spanish "
    "xlm-mlm-en-2048 xlm-mlm-100-1280 xlm-clm-ende-1024",
    "google-t5": "t5-small t5-base t5-large t5-3b t5-11b",
    "albert": "albert-base-v1 albert-large-v1 albert-xlarge-v1 albert-xxlarge-v1 albert-base-v2 albert-large-v2 "
    "albert-xlarge-v2 albert-xxlarge-v2",
    "almanach": "camembert-base",
    "xlnet": "xlnet-base-cased xlnet-large-cased",
    "transfo-xl": "transfo-xl-wt103",
    "Salesforce": "ctrl",
    "dbmdz": "bert-base-german-dbmdz-cased bert-base-german-dbmdz-uncased",
}
LEGACY = {name: f"{owner}/{name}" for owner, names in _MOVED.items() for name in names.split()} | {
    "bert-base-german-dbmdz-cased": "dbmdz/bert-base-german-cased",
    "bert-base-german-dbmdz-uncased": "dbmdz/bert-base-german-uncased",
}


def canonical(name: str) -> str:
    """The name that a repository has today."""
    return LEGACY.get(name, name)
