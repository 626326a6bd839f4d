"""Runs a few tiny models once, so that a program's first call finds all that it needs imported."""

import contextlib
import importlib
import io
import multiprocessing.synchronize  # noqa: F401 - of the locks of progress bars
import os
import pathlib
import shutil
import sys
import tempfile

import huggingface_hub
import librosa
import numba
import numpy
import pandas
import PIL.Image
import soundfile
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

FAMILIES = """albert bart bert bert_generation blip clip convnext deberta_v2 detr distilbert dpt electra gpt2 gpt_neo
hubert layoutlm llama marian mbart mpnet pegasus resnet roberta segformer speecht5 swin t5 tapas videomae vilt
vision_encoder_decoder vit wav2vec2 wavlm whisper xlm_roberta""".split()
KINDS = "modeling configuration tokenization image_processing feature_extraction processing".split()
DIFFUSERS = (
    "DDPMPipeline DDIMScheduler PNDMScheduler StableDiffusionPipeline StableDiffusionControlNetPipeline "
    "UNet2DConditionModel AutoencoderKL ControlNetModel UniPCMultistepScheduler"
).split()
SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
GPT = {
    "vocab_size": 40,
    "n_embd": 16,
    "n_layer": 1,
    "n_head": 2,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
T5 = {
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 16,
    "num_layers": 1,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}


def keep_compiled():
    """What numba compiles for librosa, half a minute of it, is kept in the image when that is built.

    numba reads such a folder only where it can write, so a worker takes a copy.
    """
    kept = pathlib.Path(sys.prefix, "numba")
    if os.access(sys.prefix, os.W_OK):
        numba.config.CACHE_DIR = str(kept)
    else:
        numba.config.CACHE_DIR = tempfile.mkdtemp()
        if kept.is_dir():
            shutil.copytree(kept, numba.config.CACHE_DIR, dirs_exist_ok=True)


def words():
    """A tokenizer of a few words."""
    entries = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *"a b c d e f g h i j the is was good bad".split()]
    backend = Tokenizer(models.WordLevel({word: place for place, word in enumerate(entries)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}
    tokens = {f"{name}_token": token for name, token in names.items()}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **tokens)


def run():
    """Text, pictures, sound and tables once each."""
    tokenizer = words()
    bert = transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL))
    transformers.pipeline("text-classification", model=bert, tokenizer=tokenizer)(["the a is good"])
    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT))
    transformers.pipeline("text-generation", model=gpt, tokenizer=tokenizer)("the a", max_new_tokens=2)
    t5 = transformers.T5ForConditionalGeneration(transformers.T5Config(**T5))
    t5.generate(torch.ones(1, 4, dtype=torch.long), max_new_tokens=2, num_beams=2)
    picture = PIL.Image.new("RGB", (40, 30))
    vision = transformers.ViTConfig(**{**SMALL, "image_size": 16, "patch_size": 8})
    vit = transformers.ViTForImageClassification(vision)
    prepare = transformers.ViTImageProcessor(size={"height": 16, "width": 16})
    transformers.pipeline("image-classification", model=vit, image_processor=prepare)(picture)
    buffer = io.BytesIO()
    soundfile.write(buffer, numpy.zeros(16000, dtype="float32"), 16000, format="WAV")
    sound, rate = librosa.load(io.BytesIO(buffer.getvalue()), sr=8000)  # it compiles what it needs at its first call
    librosa.feature.mfcc(y=sound, sr=rate)
    transformers.Wav2Vec2FeatureExtractor()(soundfile.read(io.BytesIO(buffer.getvalue()))[0], sampling_rate=16000)
    pandas.read_csv(io.StringIO("a,b\n1,x\n2,y\n")).groupby("b").mean()
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    PIL.Image.open(io.BytesIO(buffer.getvalue())).convert("RGB").resize((8, 8))


def ask_hub():
    """One question to the stand-in hub, where it is there; the connection is not for a fork to inherit."""
    if not os.environ.get("HF_ENDPOINT", "").startswith("http://127."):
        return
    with contextlib.suppress(Exception):
        huggingface_hub.hf_hub_download("nobody/nothing", "config.json")
    for name in ("reset_sessions", "close_session"):  # of version 0, of 1 and later
        if hasattr(huggingface_hub.utils, name):
            getattr(huggingface_hub.utils, name)()


keep_compiled()
transformers.logging.set_verbosity_error()
for family in FAMILIES:
    for kind in KINDS:
        for end in ("", "_fast"):
            with contextlib.suppress(ImportError):
                importlib.import_module(f"transformers.models.{family}.{kind}_{family}{end}")
import diffusers  # noqa: E402

for name in DIFFUSERS:
    with contextlib.suppress(AttributeError, ImportError, RuntimeError):
        getattr(diffusers, name)
run()
ask_hub()
transformers.logging.set_verbosity_warning()
