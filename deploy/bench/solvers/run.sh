#!/bin/bash
# Runs the command beside solvers that it installs from PyPI into bin/solvers; give it the command's flags.
set -euo pipefail
cd "$(dirname "$0")/../../.."
venv=$PWD/bin/solvers
if ! "$venv/bin/python" -c 'import implicit, myfm, sklearn, xlearn' 2>/dev/null; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check 'scikit-learn==1.9.1' 'implicit==0.7.3' 'myfm==0.4.0' 'xlearn==0.40a1' 'numpy==2.4.6' 'scipy==1.17.1'
fi
"${GO:-go}" run ./deploy/bench/solvers "$@"
