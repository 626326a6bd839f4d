"""Names that Python programs import and that are real packages of the public index.

A modest list: it decides whether a missing import is the environment's fault (a real package that the box lacks) or the
program's (a name that does not exist).
"""

from __future__ import annotations

_NAMES = """
    accelerate aiofiles aiohttp airflow albumentations alembic altair annoy ansible anthropic anyio apscheduler
    arrow asgiref asyncpg attr attrs authlib autogluon av azure babel bcrypt beautifulsoup4 beir bitsandbytes
    black bokeh boto3 botocore bottle bs4 cachetools catboost celery certifi chainer chardet charset_normalizer
    chromadb click cloudpickle colorama confluent_kafka cryptography cupy cv2 cvxpy cython dash dask databricks
    datasets dateparser dateutil deepspeed detectron2 diffusers dill discord django dns docker docopt docutils
    docx dotenv duckdb ebooklib einops elasticsearch emoji espnet evaluate fairseq faiss faker fastai fastapi
    fasttext feedparser filelock fiona fire flair flask flax folium fsspec ftfy fuzzywuzzy gensim geopandas
    geopy git github gitlab google googleapiclient gradio graphene graphviz grpc gspread gunicorn gym gymnasium
    h5py haystack httplib2 httpx huggingface_hub humanize hydra hypothesis idna igraph imageio imblearn inflect
    influxdb ipywidgets isodate isort jax jaxlib jieba jinja2 jiwer joblib jose jsonschema jwt kafka keras
    keyring kornia kubernetes langchain langdetect ldap3 librosa lightgbm lightning litellm llama_index loguru
    lxml mako markdown markupsafe marshmallow matplotlib mecab mediapipe mistune mlflow mmcv mmdet monai moto
    mpmath msgpack multidict mypy mysql MySQLdb nbformat nemo neo4j networkx nibabel nltk notebook numba numexpr
    numpy oauthlib onnx onnxruntime open_clip openai opencv openpyxl optimum optuna orjson osmnx paddle
    paddleocr pandas pandera paramiko parso passlib patsy pdf2image pdfminer pdfplumber peewee peft pendulum
    pika PIL pillow pinecone pip pkg_resources playwright plotly pluggy polars portalocker prefect
    presidio_analyzer prettytable prometheus_client prophet protobuf psutil psycopg psycopg2 pulp pyarrow
    pyautogui pycocotools pycountry pydantic pydub pyfiglet pygame pygments pymc pymongo pymysql pynput pyodbc
    pyparsing pypdf PyPDF2 pyspark pytesseract pytest pythainlp pytz pywt qdrant_client qrcode rapidfuzz ray
    rdkit redis regex reportlab requests rich rouge_score rpy2 ruff sacrebleu sacremoses safetensors schedule
    scipy scrapy seaborn selenium semver sendgrid sentence_transformers sentencepiece sentry_sdk setuptools shap
    shapely simplejson six skimage sklearn slack_sdk snowflake soundfile spacy speech_recognition speechbrain
    sqlalchemy sqlmodel starlette statsmodels streamlit stripe structlog sympy tables tabulate tenacity
    tensorboard tensorflow tensorflow_datasets tensorflow_hub tensorflow_text termcolor textblob textual thinc
    tiktoken timm tinydb tokenizers toml tomlkit toolz torch torch_geometric torchaudio torchmetrics torchtext
    torchvision tornado tqdm transformers trio trl tsfresh tweepy twilio typer typing_extensions tzlocal ujson
    ultralytics umap unidecode urllib3 uvicorn validators wandb watchdog weasyprint weaviate websocket
    websockets werkzeug whisper wordcloud wrapt xarray xgboost xlrd xlsxwriter xlwt xmltodict yaml yarl yfinance
    yolov5 zmq zstandard
"""
KNOWN = frozenset(_NAMES.split())


def is_known(name: str) -> bool:
    """True where the dotted name's top level is a package known to exist."""
    return name.partition(".")[0] in KNOWN
