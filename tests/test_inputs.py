"""The files that programs name and nobody brought."""

from __future__ import annotations

import csv
import io
import json
import struct
import wave

from kohai.sandbox.inputs import offered

PROGRAM = """
from PIL import Image
import json, joblib, soundfile, pandas
picture = Image.open('photo.jpg')
other = Image.open("shots/a b.png")
sound, rate = soundfile.read('voice.wav')
table = pandas.read_csv('data.csv', sep=';')
rows = table[['age', 'review_text']]
answers = table['label']
"""


def test_files_are_what_their_names_say() -> None:
    """A picture in colours, a second of sound at 16 kHz, a table with the columns and separator of the code."""
    found = offered(PROGRAM)
    assert set(found) == {"photo.jpg", "shots/a b.png", "voice.wav", "data.csv"}
    assert found["photo.jpg"].startswith(b"\xff\xd8\xff")
    assert struct.unpack(">II", found["shots/a b.png"][16:24]) == (128, 96)
    with wave.open(io.BytesIO(found["voice.wav"])) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16_000, 1, 16_000)
    rows = list(csv.DictReader(io.StringIO(found["data.csv"].decode()), delimiter=";"))
    assert list(rows[0]) == ["age", "review_text", "label"]
    assert len(rows) == 12
    assert float(rows[0]["age"]) > 0
    assert "house" in rows[0]["review_text"]


def test_what_the_code_writes_is_not_offered() -> None:
    """Neither by a call, nor by `open`, nor by a name that holds it."""
    code = """
image.save('a.png'); sf.write('b.wav', x, 1); open('c.txt', 'w').write(''); df.to_csv(path_or_buf='d.csv')
target = 'e.jpg'
image.save(target)
with open('f.json', mode='a') as file: pass
Path('g.txt').write_text('')
Path('h.txt').open('w')
print(open('i.txt').read(), open('j.txt', 'rb'), Path('k.txt').read_text())
"""
    assert set(offered(code)) == {"i.txt", "j.txt", "k.txt"}


def test_only_names_inside_the_folder_count() -> None:
    """No absolute path, none that leads out, no address, nothing that a hub is asked for."""
    code = """
open('/etc/x.txt'); open('../x.txt'); open('a/../../x.txt'); load('https://a.b/c.jpg'); open('.csv')
hf_hub_download('a/b', 'config.json'); AutoModel.from_pretrained('some.json'); open('C:/x.txt')
"""
    assert offered(code) == {}


def test_a_model_beside_its_table() -> None:
    """The names in `config.json` are the columns of the table."""
    code = """
model = joblib.load('model.joblib')
features = json.load(open('config.json'))['features']
data = pd.read_csv('data.csv')[features]
"""
    found = offered(code)
    assert set(found) == {"model.joblib", "config.json", "data.csv"}
    features = json.loads(found["config.json"])["features"]
    assert found["data.csv"].decode().splitlines()[0].split(",") == features


def test_code_that_does_not_parse_gets_nothing() -> None:
    """It will not come to reading."""
    assert offered("open('a.txt'") == {}
    assert offered("open('a.txt')\0") == {}
