"""Runs an ONNX model over rows and prints, as JSON, how far its probabilities, logits and labels are from what is expected.

Usage: compare.py MODEL.onnx ROWS.json. Needs onnxruntime; checks the model with the onnx package where that is installed.
"""

import json
import sys

import numpy
import onnxruntime

model, rows = sys.argv[1:]
checked = False
try:
    import onnx
    onnx.checker.check_model(onnx.load(model), full_check=True)
    checked = True
except ImportError:
    pass
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
with open(rows, encoding="utf-8") as f:
    data = json.load(f)
types = {"tensor(double)": numpy.float64, "tensor(float)": numpy.float32, "tensor(string)": object}
feed = {}
for i in session.get_inputs():
    values = data["columns"][i.name]
    if i.type != "tensor(string)":
        values = [numpy.nan if v is None else v for v in values]
    feed[i.name] = numpy.array(values, dtype=types[i.type]).reshape(-1, 1)
expected = {name: numpy.array(data[name]) for name in ("probability", "logit")}
label, other, margin = data.get("label"), numpy.array([], dtype=int), 0.0
names = ["prediction", "sum"] if data.get("number") else ["probability", "logit"] if label is None else ["probabilities", "logits", "label"]
got = session.run(names, feed)
for output, want in zip(got, expected.values()):
    assert output.shape == want.shape, (output.shape, want.shape)
if label is not None:
    assert got[2].shape == (len(label), 1), got[2].shape
    other = numpy.flatnonzero(got[2].reshape(-1) != numpy.array(label))
    sizes = numpy.sort(expected["logit"], axis=1)[other]
    margin = max((row[-1] - row[-2] for row in sizes), default=0.0)


def largest(output, want):
    return float(numpy.max(numpy.abs(output.astype(numpy.float64) - want)))


print(json.dumps({"runtime": onnxruntime.__version__, "checked": checked, "rows": len(expected["logit"]), "type": session.get_outputs()[0].type,
                  "probability": largest(got[0], expected["probability"]), "logit": largest(got[1], expected["logit"]), "labels": len(other), "margin": float(margin)}))
