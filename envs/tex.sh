#!/usr/bin/env bash
# Install latexmk, the small TeX that the report needs and a font for East Asian letters,
# where they are missing.
# Without the right to install, say what to type; everything before the PDF runs without.
set -euo pipefail
packages="latexmk texlive-latex-recommended texlive-fonts-recommended fonts-droid-fallback"
command -v latexmk >/dev/null && command -v pdflatex >/dev/null && exit 0

if ! command -v apt-get >/dev/null; then
  echo "gradscape: no PDF without TeX: install latexmk, TeX Live's latex-recommended and fonts-recommended (on macOS, MacTeX has them), and a font such as Droid Sans Fallback" >&2
  exit 0
fi
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root="sudo"
else
  echo "gradscape: no PDF without TeX: sudo apt-get install --no-install-recommends $packages" >&2
  exit 0
fi
echo "Installing latexmk and a small TeX (83 MB)"
# shellcheck disable=SC2086
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $packages >/dev/null
