"""The tokenizer of a family: raw files, the special tokens of its authors, and the fast form beside the slow one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from . import vocabulary as v

Write = Callable[[Path], Any]


@dataclass(frozen=True)
class Kind:
    """A class of transformers, what writes its files, and its settings; `families`: the `model_type`s that use it."""

    families: str
    name: str
    write: Write
    settings: dict[str, Any] = field(default_factory=dict)
    max_length: int | None = 512


def _specials(**tokens: str) -> dict[str, Any]:
    return {f"{name}_token": token for name, token in tokens.items()}


_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>")
_BART = _specials(bos="<s>", eos="</s>", sep="</s>", cls="<s>", unk="<unk>", pad="<pad>", mask="<mask>")
_BERT = _specials(unk="[UNK]", sep="[SEP]", pad="[PAD]", cls="[CLS]", mask="[MASK]")
_CTC = _specials(bos="<s>", eos="</s>", unk="<unk>", pad="<pad>") | {"word_delimiter_token": "|"}
_END = "<|endoftext|>"
_GPT2 = _specials(bos=_END, eos=_END, unk=_END)
_CLIP = ("<|startoftext|>", _END)
_CHAT = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_LLAMA_CHAT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'] + "
    "' [/INST]' }}{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
_XLMR = partial(v.sentencepiece, name="sentencepiece.bpe.model", unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
_ALBERT = partial(
    v.sentencepiece,
    name="spiece.model",
    pad_id=0,
    unk_id=1,
    bos_id=-1,
    eos_id=-1,
    pad_piece="<pad>",
    control_symbols="[CLS],[SEP],[MASK]",
)
_LLAMA = partial(
    v.sentencepiece,
    name="tokenizer.model",
    model_type="bpe",
    byte_fallback=True,
    unk_id=0,
    bos_id=1,
    eos_id=2,
    pad_id=-1,
)

KINDS = (
    Kind(
        "bert electra mobilebert squeezebert convbert visual_bert vilt align chinese_clip bridgetower grounding-dino",
        "BertTokenizer",
        v.wordpiece,
        _BERT | {"do_lower_case": True},
    ),
    Kind(
        "git blip",
        "BertTokenizer",
        v.wordpiece,
        _BERT | {"do_lower_case": True, "model_input_names": ["input_ids", "attention_mask"]},
    ),
    Kind("distilbert", "DistilBertTokenizer", v.wordpiece, _BERT | {"do_lower_case": True}),
    Kind("dpr", "DPRQuestionEncoderTokenizer", v.wordpiece, _BERT | {"do_lower_case": True}),
    Kind("layoutlm", "LayoutLMTokenizer", v.wordpiece, _BERT | {"do_lower_case": True}),
    Kind("layoutlmv2", "LayoutLMv2Tokenizer", v.wordpiece, _BERT | {"do_lower_case": True}),
    Kind(
        "tapas",
        "TapasTokenizer",
        partial(v.wordpiece, specials=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EMPTY]")),
        _BERT | {"empty_token": "[EMPTY]", "do_lower_case": True},
    ),
    Kind(
        "mpnet",
        "MPNetTokenizer",
        partial(v.wordpiece, specials=("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>")),
        _BART | {"unk_token": "[UNK]", "do_lower_case": True},
    ),
    Kind("roberta data2vec-text", "RobertaTokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART),
    Kind("bart", "BartTokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART, 1024),
    Kind("tapex", "TapexTokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART, 1024),
    Kind("longformer", "LongformerTokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART, 4096),
    Kind("led", "LEDTokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART, 16384),
    Kind("layoutlmv3", "LayoutLMv3Tokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART),
    Kind("blenderbot", "BlenderbotTokenizer", partial(v.byte_bpe, first=_ROBERTA, last=("<mask>",)), _BART, 128),
    Kind(
        "deberta",
        "DebertaTokenizer",
        partial(v.byte_bpe, first=("[PAD]", "[CLS]", "[SEP]", "[UNK]"), last=("[MASK]",)),
        _BERT | {"bos_token": "[CLS]", "eos_token": "[SEP]"},
    ),
    Kind("gpt2 gpt_neo gptj gpt_bigcode", "GPT2Tokenizer", partial(v.byte_bpe, first=(), last=(_END,)), _GPT2, 1024),
    Kind("codegen phi", "CodeGenTokenizer", partial(v.byte_bpe, first=(), last=(_END,)), _GPT2, 2048),
    Kind("gpt_neox", "GPTNeoXTokenizerFast", partial(v.byte_bpe, first=(_END, "<|padding|>")), _GPT2, 2048),
    Kind(
        "bloom",
        "BloomTokenizerFast",
        partial(v.byte_bpe, first=("<unk>", "<s>", "</s>", "<pad>")),
        _specials(unk="<unk>", bos="<s>", eos="</s>", pad="<pad>") | {"padding_side": "left"},
        None,
    ),
    Kind(
        "falcon starcoder2",
        "PreTrainedTokenizerFast",
        partial(v.byte_bpe, first=(), last=(_END,)),
        _specials(bos=_END, eos=_END),
        2048,
    ),
    Kind(
        "opt",
        "GPT2Tokenizer",
        partial(v.byte_bpe, first=_ROBERTA),
        _specials(bos="</s>", eos="</s>", unk="</s>", pad="<pad>") | {"add_bos_token": True},
        None,
    ),
    Kind(
        "qwen2 qwen3 smollm3 llava_onevision qwen2_vl qwen2_5_vl qwen3_vl",
        "Qwen2Tokenizer",
        partial(v.byte_bpe, first=(), last=(_END, "<|im_start|>", "<|im_end|>")),
        _specials(eos="<|im_end|>", pad=_END) | {"chat_template": _CHAT},
        32768,
    ),
    Kind(
        "clip clipseg xclip owlvit owlv2 oneformer",
        "CLIPTokenizer",
        partial(v.word_end_bpe, first=(), last=_CLIP, over_bytes=True),
        _specials(bos=_CLIP[0], eos=_END, unk=_END, pad=_END),
        77,
    ),
    Kind(
        "openai-gpt",
        "OpenAIGPTTokenizer",
        partial(v.word_end_bpe, first=("<unk>",), last=(), over_bytes=False),
        _specials(unk="<unk>"),
    ),
    Kind(
        "blenderbot-small",
        "BlenderbotSmallTokenizer",
        v.at_bpe,
        _specials(bos="__start__", eos="__end__", unk="__unk__", pad="__null__"),
    ),
    Kind(
        "t5 mt5 longt5 switch_transformers pix2struct",
        "T5Tokenizer",
        partial(v.sentencepiece, name="spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
        _specials(eos="</s>", unk="<unk>", pad="<pad>") | {"extra_ids": 100},
    ),
    Kind(
        "albert",
        "AlbertTokenizer",
        _ALBERT,
        _BERT | {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "[CLS]", "eos_token": "[SEP]"},
    ),
    Kind(
        "xlnet",
        "XLNetTokenizer",
        partial(
            v.sentencepiece,
            name="spiece.model",
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            control_symbols="<cls>,<sep>,<pad>,<mask>,<eod>,<eop>",
        ),
        _specials(bos="<s>", eos="</s>", unk="<unk>", sep="<sep>", pad="<pad>", cls="<cls>", mask="<mask>"),
        None,
    ),
    Kind("camembert", "CamembertTokenizer", _XLMR, _BART),
    Kind("xlm-roberta", "XLMRobertaTokenizer", _XLMR, _BART),
    Kind("layoutxlm", "LayoutXLMTokenizer", _XLMR, _BART),
    Kind("mbart", "MBart50Tokenizer", _XLMR, _BART | {"src_lang": "en_XX"}, 1024),
    Kind("barthez", "BarthezTokenizer", _XLMR, _BART, 1024),
    Kind("nllb", "NllbTokenizer", _XLMR, _BART | {"src_lang": "eng_Latn"}, 1024),
    Kind(
        "m2m_100",
        "M2M100Tokenizer",
        v.many_to_many,
        _specials(bos="<s>", eos="</s>", sep="</s>", unk="<unk>", pad="<pad>"),
        1024,
    ),
    Kind(
        "siglip",
        "SiglipTokenizer",
        partial(v.sentencepiece, name="spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
        _specials(eos="</s>", unk="<unk>", pad="</s>") | {"model_input_names": ["input_ids"]},
        64,
    ),
    Kind("marian", "MarianTokenizer", v.marian, _specials(eos="</s>", unk="<unk>", pad="<pad>")),
    Kind(
        "pegasus bigbird_pegasus",
        "PegasusTokenizer",
        partial(v.sentencepiece, name="spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
        _specials(eos="</s>", unk="<unk>", pad="<pad>", mask="<mask_2>") | {"mask_token_sent": "<mask_1>"},
        1024,
    ),
    Kind(
        "big_bird",
        "BigBirdTokenizer",
        partial(
            v.sentencepiece,
            name="spiece.model",
            pad_id=0,
            eos_id=1,
            bos_id=2,
            unk_id=3,
            control_symbols="[SEP],[MASK],[CLS]",
        ),
        _specials(bos="<s>", eos="</s>", unk="<unk>", pad="<pad>", sep="[SEP]", mask="[MASK]", cls="[CLS]"),
        4096,
    ),
    Kind(
        "deberta-v2",
        "DebertaV2Tokenizer",
        partial(
            v.sentencepiece,
            name="spm.model",
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            pad_piece="[PAD]",
            bos_piece="[CLS]",
            eos_piece="[SEP]",
            unk_piece="[UNK]",
        ),
        _BERT | {"bos_token": "[CLS]", "eos_token": "[SEP]"},
    ),
    Kind(
        "llama mistral mixtral phi3 llava",
        "LlamaTokenizer",
        _LLAMA,
        _specials(bos="<s>", eos="</s>", unk="<unk>") | {"chat_template": _LLAMA_CHAT},
        4096,
    ),
    Kind(
        "gemma gemma2 gemma3_text",
        "GemmaTokenizer",
        partial(
            v.sentencepiece,
            name="tokenizer.model",
            model_type="bpe",
            byte_fallback=True,
            pad_id=0,
            eos_id=1,
            bos_id=2,
            unk_id=3,
            pad_piece="<pad>",
            eos_piece="<eos>",
            bos_piece="<bos>",
        ),
        _specials(bos="<bos>", eos="<eos>", unk="<unk>", pad="<pad>") | {"chat_template": _LLAMA_CHAT},
        8192,
    ),
    Kind(
        "speecht5",
        "SpeechT5Tokenizer",
        partial(v.sentencepiece, name="spm_char.model", model_type="char", bos_id=0, pad_id=1, eos_id=2, unk_id=3),
        _specials(bos="<s>", eos="</s>", unk="<unk>", pad="<pad>"),
        600,
    ),
    Kind(
        "speech_to_text",
        "Speech2TextTokenizer",
        v.many_to_many,
        _specials(bos="<s>", eos="</s>", unk="<unk>", pad="<pad>") | {"do_lower_case": True},
        1024,
    ),
    Kind(
        "wav2vec2 hubert wavlm unispeech unispeech-sat data2vec-audio wav2vec2-conformer sew sew-d",
        "Wav2Vec2CTCTokenizer",
        v.ctc,
        _CTC,
        None,
    ),
    Kind("byt5", "ByT5Tokenizer", lambda _: None, _specials(eos="</s>", unk="<unk>", pad="<pad>") | {"extra_ids": 125}),
    Kind("canine", "CanineTokenizer", lambda _: None, {}, 2048),
)
OF_FAMILY = {family: kind for kind in KINDS for family in kind.families.split()}
SLOW_ONLY = ("BlenderbotSmallTokenizer", "TapexTokenizer")  # their fast form cannot be saved, or is another class
CASED = ("-cased", "ner", "biobert", "clinicalbert", "beto", "finbert-tone-cased")


def available(family: str) -> str:
    """The same family, or one that this version of transformers has instead of its tokenizer."""
    import transformers

    if family == "tapex" and not hasattr(transformers, "TapexTokenizer"):
        return "bart"
    return family


def make(family: str, folder: Path, cased: bool | None = None, max_length: int | None = None) -> Any:
    """Writes a family's tokenizer into a folder that holds its `config.json`; the tokenizer, loaded."""
    if family == "whisper":
        from . import whisper

        return whisper.make(folder)
    kind = OF_FAMILY[family]
    settings: dict[str, Any] = {"tokenizer_class": kind.name} | kind.settings
    write = kind.write
    if cased and "do_lower_case" in settings and family != "tapas":
        settings["do_lower_case"] = False
        write = partial(v.wordpiece, lower=False)
    if kind.max_length is not None:
        settings["model_max_length"] = max_length or kind.max_length
    write(folder)
    if kind.name in ("GPTNeoXTokenizerFast", "BloomTokenizerFast", "PreTrainedTokenizerFast", "Qwen2Tokenizer"):
        _fast_only(folder, settings)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False))
    return reload(folder, kind.name)


def reload(folder: Path, name: str = "") -> Any:
    """Loads a folder's tokenizer as programs do, and saves all of its forms beside the raw files."""
    import transformers

    raw = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    fast = "" if name in SLOW_ONLY else f"{name}Fast"
    known = [getattr(transformers, found, None) for found in (fast, name)]
    loader = next((found for found in known if name and found is not None), transformers.AutoTokenizer)
    loader.from_pretrained(str(folder)).save_pretrained(str(folder))
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), use_fast=name not in SLOW_ONLY)
    for name, content in raw.items():
        if name not in ("tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"):
            (folder / name).write_bytes(content)
    return tokenizer


def _fast_only(folder: Path, settings: dict[str, Any]) -> None:
    """A `tokenizer.json` of byte-level pieces, where authors upload no other form."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    specials = [token for token in dict.fromkeys(settings.values()) if isinstance(token, str) and token[:1] == "<"]
    specials += ["<|im_start|>"] if "<|im_end|>" in specials else []
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    if settings["tokenizer_class"] != "Qwen2Tokenizer":
        for name in ("vocab.json", "merges.txt"):
            (folder / name).unlink()
