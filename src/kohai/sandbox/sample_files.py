"""Small real files of the kinds that programs read, made with the standard library."""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
import zlib
from collections.abc import Sequence

WIDTH, HEIGHT = 128, 96
RATE = 16_000
N_ROWS = 12
WORDS = ("The house is wonderful.", "The food was cold and the service slow.", "My name is Anna; I live in Berlin.")
PROSE = " ".join(WORDS) + " The company said on Tuesday that its profit rose by 12 percent in the second quarter.\n"
LIKE_TEXT = (
    "text",
    "name",
    "review",
    "sentence",
    "question",
    "title",
    "comment",
    "description",
    "content",
    "article",
    "query",
)
LIKE_DATE = ("date", "time", "day")
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABIMDRANCxIQDhAUExIVGywdGxgYGzYnKSAsQDlEQz85Pj1HUGZXR0thTT0+WXlaYWltcnNyRVV9hnxv"
    "hWZwcm7/2wBDARMUFBsXGzQdHTRuST5Jbm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm7/wAARCABgAIAD"
    "ASIAAhEBAxEB/8QAGQABAAMBAQAAAAAAAAAAAAAAAQADBAIF/8QAJxABAQEAAgEBBwUBAAAAAAAAABEBAgMxURMhIiNBYXESMlKBobH/xAAZAQEB"
    "AQEBAQAAAAAAAAAAAAACAQMFAAT/xAAaEQEBAQEBAQEAAAAAAAAAAAAAARIRAiEx/9oADAMBAAIRAxEAPwDzIYkMdnT0qQwwxNHKIYYYmmkohhhg"
    "6OUQwwxNHKIYYYmmkojqJDE0cqQxIYmmkrDDDDC64sohhhiaOUQwxo6urMy75/4N9cLXFfHp5b59yzOjj66thjO+69uqvYcfXRvTueNq+GJunPdZ"
    "IY0c+vOWem+qmFPfW/n10QwwxNNZRDDDE0crBHUSGHpxZUhiQxOtJXfTwvK79GiOOjPh38rYx9evo2/RDDDB6sohhhiaaSpFXdwm5y9fK6Dtz5ev"
    "T19a+L9ZoYYYen0yiGGGJo5WGGJHULTiyiGGGJo5V3Rnwb+VsU9GzlN+q+MvV+pf1IYkMDSypDEjqJ1pKI57c+XqyKu7fHF6X608fqqGJDD0+mVI"
    "YkMTTSVhhhhh6cWUQwwwdHKmNHXy/Vn3UQ4N+lzrVDFXDtn7sv3WZ2cPX/Gd6nK6hjn2nD1/wb2/xz+9H60krvlyzhl1n9+7d8nbu3fJhT438zgh"
    "hhi6ayiGGGJo5WGGJDC040qQxIYmjlSGJHUTRyiGGGJppKIYYYPTlEMMMTRyiGGGJppKI6iQxNHK/9k="
)  # a round thing before a gradient
ESTIMATOR = base64.b64decode(
    "gASV0gEAAAAAAACMDXNrbGVhcm4uZHVtbXmUjA9EdW1teUNsYXNzaWZpZXKUk5QpgZR9lCiMCHN0cmF0ZWd5lIwNbW9zdF9mcmVxdWVudJSMDHJh"
    "bmRvbV9zdGF0ZZROjAhjb25zdGFudJROjA5uX2ZlYXR1cmVzX2luX5RLAYwJX3N0cmF0ZWd5lGgGjA5zcGFyc2Vfb3V0cHV0X5SJjApuX291dHB1"
    "dHNflEsBjAhjbGFzc2VzX5SMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRD"
    "AWKUh5RSlChLAUsChZRoEYwFZHR5cGWUk5SMAmk4lImIh5RSlChLA4wBPJROTk5K/////0r/////SwB0lGKJQxAAAAAAAAAAAAEAAAAAAAAAlHSU"
    "YowKbl9jbGFzc2VzX5RLAowMY2xhc3NfcHJpb3JflGgQaBNLAIWUaBWHlFKUKEsBSwKFlGgajAJmOJSJiIeUUpQoSwNoHk5OTkr/////Sv////9L"
    "AHSUYolDEFVVVVVVVdU/VVVVVVVV5T+UdJRijBBfc2tsZWFybl92ZXJzaW9ulIwFMS45LjGUdWIu"
)  # scikit-learn's DummyClassifier, which takes any number of columns


def png() -> bytes:
    """A picture in colours."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(WIDTH) for value in (80 + x, 60 + y, 200 - y)) for y in range(HEIGHT)
    )
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def bmp() -> bytes:
    """A picture in colours."""
    pixels = b"".join(bytes((200 - y, 60 + y, 80 + x)) for y in range(HEIGHT) for x in range(WIDTH))
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54) + info + pixels


def wav() -> bytes:
    """A second of a tone, one channel."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        tone = (int(9000 * math.sin(2 * math.pi * 440 * place / RATE)) for place in range(RATE))
        file.writeframes(b"".join(struct.pack("<h", value) for value in tone))
    return buffer.getvalue()


def avi() -> bytes:
    """A second of film, each frame a JPEG."""
    n_frames = 16
    frame = JPEG + b"\0" * (len(JPEG) % 2)
    head = struct.pack("<14I", 62_500, 0, 0, 0x10, n_frames, 0, 1, len(frame), WIDTH, HEIGHT, 0, 0, 0, 0)
    stream = b"vidsMJPG" + struct.pack("<10I4H", 0, 0, 0, 1, 16, 0, n_frames, len(frame), 0, 0, 0, 0, WIDTH, HEIGHT)
    shape = struct.pack("<IiiHH4s5I", 40, WIDTH, HEIGHT, 1, 24, b"MJPG", WIDTH * HEIGHT * 3, 0, 0, 0, 0)
    streams = _listed(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", shape))
    film = _listed(b"movi", _chunk(b"00dc", frame) * n_frames)
    index = b"".join(
        b"00dc" + struct.pack("<III", 0x10, 4 + place * (8 + len(frame)), len(frame)) for place in range(n_frames)
    )
    return _chunk(b"RIFF", b"AVI " + _listed(b"hdrl", _chunk(b"avih", head) + streams) + film + _chunk(b"idx1", index))


def pdf() -> bytes:
    """A page with a line of text."""
    text = b"BT /F1 18 Tf 72 720 Td (" + WORDS[0].encode() + b") Tj ET"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    content, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj%sendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return content + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def csv(columns: Sequence[str], separator: str = ",") -> bytes:
    """A table of these columns, twelve rows: text, dates or numbers as a column's name suggests."""
    lines = [separator.join(columns)]
    lines += [separator.join(cell(column, row) for column in columns) for row in range(N_ROWS)]
    return ("\n".join(lines) + "\n").encode()


def cell(column: str, row: int) -> str:
    """A value of a table."""
    name = column.lower()
    if any(part in name for part in LIKE_TEXT):
        return WORDS[row % len(WORDS)].replace(",", "").replace(";", "")
    if any(name == part or name.endswith(f"_{part}") for part in LIKE_DATE):
        return f"2023-01-{row + 1:02}"
    if name in ("label", "target", "class", "survived", "quality"):
        return str(row % 2)
    return f"{(row * 7 + len(column)) % 23 + 0.5}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data


def _listed(kind: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", kind + data)
