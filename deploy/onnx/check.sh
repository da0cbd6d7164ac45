#!/bin/bash
# Checks exported ONNX models against onnxruntime, which it installs from PyPI into bin/onnx: nothing else here needs Python.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$PWD/bin/onnx
if ! "$venv/bin/python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check 'onnxruntime==1.23.2' 'numpy==2.3.5' 'onnx==1.23.2'
fi
TRIBUTARY_ONNX_PYTHON=$venv/bin/python "${GO:-go}" test -count=1 -v -run 'TestRuntime' ./coordinator/internal/onnx
