"""The text that tokenizers are trained on: everyday words, and letters of many scripts."""

from __future__ import annotations

ENGLISH = """
The quick brown fox jumps over the lazy dog while a cat is watching from the old stone wall near the river.
My name is Anna and I live in Berlin with my two children; we love the summer, the lake and the long evenings.
What is the capital of France? Paris is the capital and largest city of France, and it lies on the river Seine.
I really like this movie, it was great, but the ending of the book is much better than that of the film.
She sells fresh bread, milk, eggs and apples at the market on Monday, Wednesday and Saturday from 8 to 12 o'clock.
The company said on Tuesday that its profit rose by 12 percent to 3.5 billion dollars in the second quarter of 2021.
A group of people is standing in front of a large building, and two dogs are playing with a red ball in the park.
How do I return a product that I bought online last week? Please call our customer service or send us an email.
Scientists have found that the new model can answer questions, translate text, summarize articles and write code.
def add(first, second): return first + second  # the sum of two numbers
for item in range(10): print(item, "is a number") if item % 2 == 0 else None
{"name": "John", "age": 42, "city": "New York"} [1, 2, 3] (a, b) <tag> & = + - * / | ~ ^ $ @ ! ; : ' "
translate English to German: The house is wonderful. summarize: The tower is 324 metres tall.
It was not good, and the service was very bad: never again! We waited for an hour and the food was cold.
Once upon a time, in a land far, far away, there lived a king who had three daughters and no sons at all.
The weather today is sunny with a high of 25 degrees; tomorrow there will be rain, wind and some thunder.
Machine learning is a field of study in artificial intelligence that learns from data without being told how.
This is a test. This is an example of a sentence that contains some words which appear again and again.
What color is the car in this picture? How many people are there? Where is the woman going? Who is he? Why not?
positive negative neutral entailment contradiction travel cooking sports politics technology business science health
"""

MANY = """
Guten Tag, wie geht es Ihnen? Ich wohne in München und arbeite für eine große Firma, die Maschinen baut; schön, süß.
Bonjour, je m'appelle Marie et j'habite à Paris; où est la bibliothèque, s'il vous plaît? Ça va très bien, garçon.
Hola, ¿cómo estás? Vivo en España y me gusta mucho el café por la mañana; ¡qué bonito día! niño, corazón, pingüino.
Ciao, mi chiamo Luca e abito a Roma; perché la città è così bella? Olá, meu nome é João e não falo inglês; ação, irmã.
Hej, jag bor i Sverige och tycker om sjön; på ö. Hyvää päivää, minä asun Suomessa. Dzień dobry, łódź, źdźbło, żaba, ćma.
Привет, меня зовут Иван, я живу в Москве и люблю читать книги; как дела? Сегодня хорошая погода, спасибо большое.
Привіт, як справи? Їжак, ґанок, єдність. Здравей, как си? Γειά σου, πώς είσαι; Μένω στην Αθήνα και μου αρέσει η θάλασσα.
你好，我叫小明，我住在北京，我喜欢看书和学习；今天天气很好，谢谢你。中国的首都是北京，这是一个很大的城市。
こんにちは、私の名前は花子です。東京に住んでいます。今日は天気がいいですね。ありがとうございます。カタカナ、テスト。
안녕하세요, 제 이름은 민수이고 서울에 살고 있습니다. 오늘 날씨가 좋네요. 감사합니다. 한국어 문장을 씁니다.
مرحبا، اسمي أحمد وأعيش في القاهرة. كيف حالك اليوم؟ الطقس جميل وشكرا لك. שלום, קוראים לי דוד ואני גר בירושלים.
नमस्ते, मेरा नाम राम है और मैं दिल्ली में रहता हूँ। आज मौसम अच्छा है। नमस्कार, माझे नाव सीता आहे. বাংলা ভাষা সুন্দর।
สวัสดีครับ ผมชื่อสมชาย อยู่ที่กรุงเทพ วันนี้อากาศดี Xin chào, tôi tên là Lan, tôi sống ở Hà Nội; thời tiết đẹp quá.
தமிழ் மொழி அழகானது. తెలుగు భాష. ಕನ್ನಡ ಭಾಷೆ. മലയാളം ഭാഷ. ગુજરાતી ભાષા. Merhaba, nasılsın? İstanbul'da yaşıyorum, çok güzel.
"""


def lines() -> list[str]:
    """One sentence or so each."""
    return [line for line in (ENGLISH + MANY).splitlines() if line]


def words() -> list[str]:
    """The distinct words of English text, as written."""
    return sorted({word.strip(".,;:!?\"'()") for word in ENGLISH.split()} - {""})


def letters() -> list[str]:
    """The distinct characters."""
    import string

    return sorted(set("".join(lines())) | set(string.printable.strip()))
