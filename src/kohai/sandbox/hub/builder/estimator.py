"""A replica of a tabular model: a small estimator of scikit-learn, fitted on made-up rows."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

WINE = (
    "fixed acidity,volatile acidity,citric acid,residual sugar,chlorides,free sulfur dioxide,total sulfur dioxide,"
    "density,pH,sulphates,alcohol"
).split(",")
IRIS = ["SepalLengthCm", "SepalWidthCm", "PetalLengthCm", "PetalWidthCm"]
FEATURES = (
    (r"wine", WINE),
    (r"iris", IRIS),
    (r"titanic|tatanic", ["Pclass", "Sex", "Age", "SibSp", "Parch", "Fare"]),
    (r"tip", ["total_bill", "sex", "smoker", "day", "time", "size"]),
    (
        r"housing|california",
        ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"],
    ),
)
N_ROWS = 40


def build(name: str, task: str, files: list[str], folder: Path) -> dict[str, Any]:
    """Writes it under the names that the documentation mentions, and those that such repositories have."""
    import joblib
    import numpy
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    features = next((found for pattern, found in FEATURES if re.search(pattern, name.lower())), None)
    features = features or [f"feature_{number}" for number in range(6)]
    draw = numpy.random.default_rng(0)
    rows = draw.normal(size=(N_ROWS, len(features))).round(3)
    is_class = "regress" not in task
    kind = RandomForestClassifier if is_class else RandomForestRegressor
    answers = draw.integers(0, 2, N_ROWS) if is_class else draw.normal(size=N_ROWS)
    model = kind(n_estimators=3, max_depth=3, random_state=0).fit(rows, answers)
    names = {"model.joblib", "sklearn_model.joblib", *files}
    for file in sorted(names):
        if file.endswith((".joblib", ".pkl", ".pickle")):
            if file.endswith(".joblib"):
                joblib.dump(model, folder / file)
            else:
                (folder / file).write_bytes(pickle.dumps(model))
        elif file.endswith(".csv"):
            separator = ";" if "wine" in file else ","
            lines = [separator.join([*features, "quality" if "wine" in file else "target"])]
            lines += [separator.join(map(str, [*row, answer])) for row, answer in zip(rows, answers, strict=True)]
            (folder / file).write_text("\n".join(lines) + "\n")
    settings = {"features": features, "target_mapping": {"0": 0, "1": 1} if is_class else None, "sklearn": {}}
    (folder / "config.json").write_text(json.dumps(settings, indent=1))
    return {"class": kind.__name__, "family": "sklearn"}


def check(folder: Path) -> None:
    """Loads and uses it as programs do."""
    import joblib

    model = joblib.load(folder / "model.joblib")
    model.predict([[0.0] * model.n_features_in_])
