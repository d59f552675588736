#!/bin/sh
# Unit tests, and worlds of four ranks, with another Python and in a clone of its own: tests/sites/python.sh python3.13
# Python 3.14 needs a compiler and Python's headers.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d) && chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
git clone --quiet "$checkout" "$folder/clone"
cd "$folder/clone"
PYTHON=$1 scripts/environment mpich,test
PATH="$PWD/.venv/bin:$PATH"
python --version
python -m pytest -q -p no:cacheprovider tests/unit tests/integration/test_world.py
