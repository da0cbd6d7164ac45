"""Runs an ONNX model over rows and prints, as JSON, how far its probabilities and logits are from those that are expected.

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
probability, logit = session.run(["probability", "logit"], feed)
assert probability.shape == logit.shape == (len(data["probability"]), 1), (probability.shape, logit.shape)


def largest(got, want):
    return float(numpy.max(numpy.abs(got.reshape(-1).astype(numpy.float64) - numpy.array(want))))


print(json.dumps({"runtime": onnxruntime.__version__, "checked": checked, "rows": len(data["probability"]), "type": session.get_outputs()[0].type,
                  "probability": largest(probability, data["probability"]), "logit": largest(logit, data["logit"])}))
