"""What classifiers call their classes: the true names where they are few and known, else numbered ones."""

from __future__ import annotations

import re

COCO = (
    "N/A,person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,N/A,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,N/A,backpack,umbrella,N/A,"
    "N/A,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,"
    "surfboard,tennis racket,bottle,N/A,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,"
    "broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,N/A,dining table,N/A,N/A,toilet,"
    "N/A,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,N/A,book,clock,"
    "vase,scissors,teddy bear,hair drier,toothbrush"
).split(",")
CITYSCAPES = (
    "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,sky,person,rider,"
    "car,truck,bus,train,motorcycle,bicycle"
).split(",")
CLOTHES = (
    "Background,Hat,Hair,Sunglasses,Upper-clothes,Skirt,Pants,Dress,Belt,Left-shoe,Right-shoe,Face,Left-leg,"
    "Right-leg,Left-arm,Right-arm,Bag,Scarf"
).split(",")
IMAGENET = "tench,goldfish,great white shark,tiger shark,hammerhead,electric ray,stingray,cock,hen,ostrich".split(",")
ADE20K = "wall,building,sky,floor,tree,ceiling,road,bed,windowpane,grass,cabinet,sidewalk,person,earth,door".split(",")
AUDIOSET = "Speech,Male speech,Female speech,Child speech,Conversation,Narration,Babbling,Speech synthesizer".split(",")
KINETICS = "abseiling,air drumming,answering questions,applauding,applying cream,archery,arm wrestling".split(",")
UCF101 = "ApplyEyeMakeup,ApplyLipstick,Archery,BabyCrawling,BalanceBeam,BandMarching,BaseballPitch".split(",")
KEYWORDS = "yes,no,up,down,left,right,on,off,stop,go,_silence_,_unknown_".split(",")
GO_EMOTIONS = (
    "admiration,amusement,anger,annoyance,approval,caring,confusion,curiosity,desire,disappointment,"
    "disapproval,disgust,embarrassment,excitement,fear,gratitude,grief,joy,love,nervousness,optimism,pride,"
    "realization,relief,remorse,sadness,surprise,neutral"
).split(",")
CONLL = "O,B-MISC,I-MISC,B-PER,I-PER,B-ORG,I-ORG,B-LOC,I-LOC".split(",")
LANGUAGES = "ja,nl,ar,pl,de,it,pt,tr,es,hi,el,ur,bg,en,fr,zh,ru,th,sw,vi".split(",")
UPOS = "ADJ,ADP,ADV,AUX,CCONJ,DET,INTJ,NOUN,NUM,PART,PRON,PROPN,PUNCT,SCONJ,SYM,VERB,X".split(",")
HARTMANN = "anger,disgust,fear,joy,neutral,sadness,surprise".split(",")
EMOTION = "sadness,joy,love,anger,fear,surprise".split(",")
SPEECH_EMOTION = "angry,calm,disgust,fearful,happy,neutral,sad,surprised".split(",")

BY_NAME: tuple[tuple[str, list[str]], ...] = (
    (r"(bart|barthez).*mnli|bart-mnli|distilbart-mnli", ["contradiction", "neutral", "entailment"]),
    (r"facebookai/roberta-large-mnli|^roberta-large-mnli", ["CONTRADICTION", "NEUTRAL", "ENTAILMENT"]),
    (r"binary", ["entailment", "not_entailment"]),
    (r"cross-encoder/nli", ["contradiction", "entailment", "neutral"]),
    (r"mobilebert.*mnli|distilbert.*mnli|squeezebert-mnli|moritzlaurer", ["entailment", "neutral", "contradiction"]),
    (r"mnli|nli|zeroshot|zero-cls", ["contradiction", "neutral", "entailment"]),
    (r"ms-marco|bge-reranker|stsb-|quora", ["LABEL_0"]),
    (r"sst-?2|sentiment-roberta-large|distilbert.*imdb", ["NEGATIVE", "POSITIVE"]),
    (r"nlptown|multilingual-uncased-sentiment", ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]),
    (r"sentiment-latest|xlm-roberta-base-sentiment", ["negative", "neutral", "positive"]),
    (r"twitter-roberta-base-sentiment|sentiment_analysis_generic", ["LABEL_0", "LABEL_1", "LABEL_2"]),
    (r"finbert-tone", ["Neutral", "Positive", "Negative"]),
    (r"finbert", ["positive", "negative", "neutral"]),
    (r"beto-sentiment|bertweet-base-sentiment", ["NEG", "NEU", "POS"]),
    (r"german-sentiment", ["positive", "negative", "neutral"]),
    (r"hartmann|michellejieli/emotion", HARTMANN),
    (r"go-emotions|go_emotions", GO_EMOTIONS),
    (r"superb-er\b|emotion.*superb", ["neu", "hap", "ang", "sad"]),
    (r"speech-emotion", SPEECH_EMOTION),
    (r"(bert|roberta).*emotion", EMOTION),
    (r"language-detection", LANGUAGES),
    (r"toxic", ["non-toxic", "toxic"]),
    (r"openai-detector", ["Fake", "Real"]),
    (r"nsfw", ["NSFW", "SFW"]),
    (r"gibberish", ["clean", "mild gibberish", "noise", "word salad"]),
    (r"punctuat", ["0", ".", ",", "?", "-", ":"]),
    (r"english-uncased-finetuned-pos|chinese-pos", UPOS),
    (r"chinese-ws", ["B", "I"]),
    (r"ner-hrl|wikineural", ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]),
    (r"(camembert|roberta-large)-ner", ["O", "LOC", "PER", "MISC", "ORG"]),
    (r"deidentifier", ["O", "VENDOR", "DATE", "HCW", "HOSPITAL", "ID", "PATIENT", "PHONE"]),
    (r"instafood", ["O", "B-FOOD", "I-FOOD"]),
    (r"cityscapes", CITYSCAPES),
    (r"clothes", CLOTHES),
    (r"hotdog", ["hot dog", "not hot dog"]),
    (r"dog-vs-food", ["dog", "food"]),
    (r"age-classifier", ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]),
    (r"anime-ai", ["human", "artificial"]),
    (r"diabetic", ["No DR", "Mild", "Moderate", "Severe", "Proliferative DR"]),
    (r"table-transformer-detection", ["table", "table rotated"]),
    (
        r"table-transformer-structure",
        [
            "table",
            "table column",
            "table row",
            "table column header",
            "table projected row header",
            "table spanning cell",
        ],
    ),
    (r"doc-table", ["table"]),
    (r"violence|rwf2000", ["Fight", "NonFight"]),
    (r"speech-commands|superb-ks|0-9up", KEYWORDS),
)
BY_KIND: tuple[tuple[str, str, list[str], int], ...] = (
    (r"", "token-classification", CONLL, 9),
    (r"", "object-detection", COCO, 91),
    (r"ade", "image-segmentation", ADE20K, 150),
    (r"coco", "image-segmentation", COCO, 133),
    (r"panoptic", "image-segmentation", COCO, 250),
    (r"", "image-segmentation", ADE20K, 150),
    (r"audioset|ast", "audio-classification", AUDIOSET, 527),
    (r"superb-sid", "audio-classification", [], 1251),
    (r"ssv2", "video-classification", [], 174),
    (r"ucf101-subset", "video-classification", UCF101, 10),
    (r"ucf101", "video-classification", UCF101, 101),
    (r"k600", "video-classification", KINETICS, 600),
    (r"", "video-classification", KINETICS, 400),
    (r"vit|beit|resnet|convnext|swin|regnet|mobile|deit|dino|timm|nvidia", "image-classification", IMAGENET, 1000),
    (r"", "visual-question-answering", ["yes", "no", "2", "1", "white", "3", "red", "blue"], 3129),
)


def labels_of(name: str, task: str) -> list[str] | None:
    """The classes of a public classifier; None where the family's own default is as good as any."""
    text = name.lower()
    if task in ("text-classification", "sentiment-analysis", "zero-shot-classification") or not task.startswith("zero"):
        for pattern, names in BY_NAME:
            if re.search(pattern, text):
                return names
    for pattern, kind, names, count in BY_KIND:
        if kind == task and re.search(pattern, text):
            return [*names[:count], *(f"class {number}" for number in range(len(names), count))]
    return ["entailment", "neutral", "contradiction"] if task == "zero-shot-classification" else None
