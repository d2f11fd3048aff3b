#!/usr/bin/env bash
# Make .venv with the locked versions: with uv where there is one, with pip elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "gradscape: $python is not Python 3.11 or newer; name one with PYTHON=…" >&2
  exit 1
fi
if command -v uv >/dev/null; then
  uv venv --quiet --seed --allow-existing --python "$python" .venv
  # Compiled once here, as pip does: else, where Python may not write bytecode, by every job.
  install() { uv pip install --quiet --compile-bytecode --python .venv/bin/python "$@"; }
else
  if ! "$python" -m venv .venv 2>/dev/null; then
    if [ "$(id -u)" = 0 ]; then
      apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv
      "$python" -m venv .venv
    else
      echo "gradscape: $python has no venv; sudo apt-get install python3-venv" >&2
      exit 1
    fi
  fi
  install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
fi
echo "Installing the locked environment into .venv (6 GB; minutes)"
install --require-hashes -r requirements.lock
install --no-deps --no-build-isolation --editable .
touch .venv/installed
