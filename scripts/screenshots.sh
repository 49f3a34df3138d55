#!/usr/bin/env bash
# Makes the pictures of the web page that README.md shows: docs/images/cluster-light.png and
# cluster-dark.png. A cluster of `vesper dev` is started for it, loses its leader, and gets writes.
#
#   scripts/screenshots.sh [FOLDER]     FOLDER: where they are written instead
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

case "${1:-}" in
  -h | --help)
    print_manual
    exit
    ;;
  -*) usage_error "unknown option '$1'" ;;
esac
(($# <= 1)) || usage_error "too many arguments"

need_packages build test browser
configure build
build build vesper
python3 -B "$root/tests/cluster/page_screenshots.py" "$root/build/vesper" \
  "${1:-$root/docs/images}"
