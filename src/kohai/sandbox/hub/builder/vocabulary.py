"""Files of small tokenizers of every kind that programs meet: the ones that a model's authors would have uploaded."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

from . import corpus

N_PIECES = 900
WORDPIECE_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CTC_LETTERS = "etaonihsrdlumwcfgypbvk'xjqz"
SEQ2SEQ_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")


def wordpiece(folder: Path, specials: tuple[str, ...] = WORDPIECE_SPECIALS, lower: bool = True) -> None:
    """A `vocab.txt`."""
    words = corpus.words()
    letters = corpus.letters()
    if lower:
        words, letters = [word.lower() for word in words], [letter.lower() for letter in letters]
    endings = ("s", "ed", "ing", "er", "ly", "est", "tion", "al", "en", "ment", "ness", "able")
    entries = [*specials, *(f"[unused{number}]" for number in range(10)), *letters, *words]
    entries += [f"##{text}" for text in (*letters, *endings)]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(entry for entry in entries if entry.strip())) + "\n")


def byte_bpe(folder: Path, first: tuple[str, ...], last: tuple[str, ...] = ()) -> None:
    """A `vocab.json` and `merges.txt` over bytes, special tokens before and after the rest."""
    pieces, merges = _byte_pieces()
    _write_bpe(folder, [*first, *pieces, *last], merges)


def word_end_bpe(folder: Path, first: tuple[str, ...], last: tuple[str, ...], over_bytes: bool) -> None:
    """A `vocab.json` and `merges.txt` whose words end in `</w>` (CLIP over bytes, GPT over letters)."""
    alphabet = sorted(_bytes_as_letters().values()) if over_bytes else [x for x in corpus.letters() if x.islower()]
    alphabet += [] if over_bytes else [*"0123456789.,:;!?'\"()-"]
    merges = [("t", "h"), ("th", "e</w>"), ("i", "n"), ("in", "g</w>"), ("a", "n"), ("an", "d</w>"), ("o", "f</w>")]
    pieces = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges)]
    _write_bpe(folder, list(dict.fromkeys([*first, *pieces, *last])), merges)


def at_bpe(folder: Path) -> None:
    """A `vocab.json` and `merges.txt` whose pieces inside a word end in `@@` (Blenderbot small)."""
    letters = [letter.lower() for letter in corpus.letters()]
    pieces = [*letters, *(f"{letter}@@" for letter in letters), *(word.lower() for word in corpus.words())]
    first = ["__null__", "__start__", "__end__", "__unk__"]
    _write_bpe(folder, list(dict.fromkeys([*first, *pieces])), [])


def ctc(folder: Path) -> None:
    """The `vocab.json` of letters that speech is spelled in."""
    entries = ["<pad>", "<s>", "</s>", "<unk>", "|", *CTC_LETTERS.upper()]
    _write_json(folder / "vocab.json", {entry: place for place, entry in enumerate(entries)})


def sentencepiece(folder: Path, name: str, **options: Any) -> list[str]:
    """A SentencePiece model; its pieces in their order."""
    content = _trained(tuple(sorted(options.items())))
    (folder / name).write_bytes(content)
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_proto=content)
    return [model.id_to_piece(place) for place in range(model.get_piece_size())]


def marian(folder: Path) -> None:
    """Source and target models, and the `vocab.json` they share."""
    pieces = sentencepiece(folder, "source.spm", unk_id=1, bos_id=-1, eos_id=0, pad_id=-1)
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    codes = [f">>{code}<<" for code in ("fr", "es", "de", "it", "pt", "ro", "cmn_Hans", "por", "pob", "fra", "spa")]
    entries = list(dict.fromkeys(["</s>", "<unk>", *pieces, *codes, "<pad>"]))
    _write_json(folder / "vocab.json", {entry: place for place, entry in enumerate(entries)})


def many_to_many(folder: Path, name: str = "sentencepiece.bpe.model") -> None:
    """M2M100: a model and the `vocab.json` beside it."""
    pieces = sentencepiece(folder, name, unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    entries = list(dict.fromkeys([*SEQ2SEQ_SPECIALS, *pieces[3:]]))
    _write_json(folder / "vocab.json", {entry: place for place, entry in enumerate(entries)})


@functools.cache
def _byte_pieces() -> tuple[list[str], list[tuple[str, str]]]:
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(corpus.lines(), vocab_size=N_PIECES, show_progress=False)
    saved = json.loads(tokenizer.to_str())["model"]
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in saved["merges"]]
    merges = [(left, right) for left, right in pairs]
    return sorted(saved["vocab"], key=saved["vocab"].get), merges


def _bytes_as_letters() -> dict[int, str]:
    """What GPT-2's code calls `bytes_to_unicode`."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(rest)}


@functools.cache
def _trained(options: tuple[tuple[str, Any], ...]) -> bytes:
    import io

    import sentencepiece

    wanted = {"model_type": "unigram", "vocab_size": N_PIECES, "character_coverage": 1.0} | dict(options)
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        text.write_text("\n".join(corpus.lines()))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_writer=model, hard_vocab_limit=False, minloglevel=2, num_threads=1, **wanted
        )
    return model.getvalue()


def _write_bpe(folder: Path, entries: list[str], merges: list[tuple[str, str]]) -> None:
    _write_json(folder / "vocab.json", {entry: place for place, entry in enumerate(dict.fromkeys(entries))})
    text = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)
    (folder / "merges.txt").write_text(text)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
