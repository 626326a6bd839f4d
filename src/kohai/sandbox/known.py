"""Names that Python programs import and that are real packages of the public index.

They decide whether a missing import is the environment's fault (a real package that the image lacks) or the program's
(a name that does not exist). `known.txt` has the 15,000 projects that were installed most in the month before April
2026 (the published list top-pypi-packages), as one would import them, less names that a program rather means as a file
of its own (utils, data, config, common, tools). `IMPORTED_AS` has modules that are named otherwise than their project.
"""

from __future__ import annotations

import functools
from importlib import resources

IMPORTED_AS = frozenset(
    [
        "AppKit",
        "Cocoa",
        "Crypto",
        "Cryptodome",
        "Foundation",
        "IPython",
        "Levenshtein",
        "MySQLdb",
        "OpenGL",
        "OpenSSL",
        "PIL",
        "PyPDF2",
        "PyQt5",
        "PyQt6",
        "PySide2",
        "PySide6",
        "Quartz",
        "Stemmer",
        "Xlib",
        "airflow",
        "antlr4",
        "asteroid",
        "attr",
        "auth0",
        "autogluon",
        "aws_cdk",
        "axes",
        "azure",
        "beir",
        "bio",
        "bs4",
        "bson",
        "carla",
        "cassandra",
        "chainer",
        "clip",
        "constraint",
        "cupy",
        "curl",
        "cv2",
        "daemon",
        "dateutil",
        "decouple",
        "detectron2",
        "dns",
        "docx",
        "dotenv",
        "enchant",
        "engineio",
        "espnet",
        "espnet2",
        "faiss",
        "fitz",
        "flaskext",
        "fuse",
        "gi",
        "git",
        "github",
        "gitlab",
        "google",
        "googleapiclient",
        "gridfs",
        "grpc",
        "hamcrest",
        "haystack",
        "huggingface_sb3",
        "huggingsound",
        "hydra",
        "igraph",
        "jose",
        "jpype",
        "jwt",
        "kafka",
        "langchain",
        "ldap",
        "magic",
        "mecab",
        "mmcv",
        "mosek",
        "mpl_toolkits",
        "nacl",
        "nemo",
        "nvidia",
        "odf",
        "open_clip",
        "opencv",
        "parrot",
        "past",
        "pkg_resources",
        "playhouse",
        "ply",
        "pptx",
        "psycopg2",
        "pwiz",
        "pyannote",
        "pyaudio",
        "pylab",
        "pywintypes",
        "pywt",
        "pyximport",
        "readability",
        "rest_framework",
        "rl_zoo3",
        "ruamel",
        "serial",
        "shapefile",
        "skbio",
        "skimage",
        "sklearn",
        "socketio",
        "speech_recognition",
        "sphinxcontrib",
        "tkinter",
        "twitter",
        "ultralyticsplus",
        "umap",
        "usb",
        "validate",
        "weaviate",
        "win32api",
        "win32com",
        "wx",
        "xdist",
        "yaml",
        "yolov5",
        "zmq",
        "zope",
    ]
)


NAMESPACES = frozenset(
    ("azure", "backports", "google", "jaraco", "nvidia", "pyannote", "ruamel", "sphinxcontrib", "zope")
)


@functools.cache
def known() -> frozenset[str]:
    """All of them; those of projects in lower case."""
    text = (resources.files("kohai.sandbox") / "known.txt").read_text(encoding="utf-8")
    return frozenset(text.split()) | IMPORTED_AS


def is_known(name: str) -> bool:
    """True where a module that is not there is a real package; `name` is what the import system missed.

    A dotted name means that what stands before the dot is there and has no such part; only below a namespace that many
    projects share is that one more package.
    """
    top, _, rest = name.partition(".")
    if rest and top in NAMESPACES:
        prefix = name.replace(".", "_").lower()
        return any(known_name == prefix or known_name.startswith(f"{prefix}_") for known_name in known())
    return not rest and (top in known() or top.lower() in known())
