#!/usr/bin/env bash
# Installs missing packages and builds the release binary, build/vesper. Quick if nothing changed.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

case "${1:-}" in
  '') ;;
  -h | --help)
    print_manual
    exit 0
    ;;
  *) usage_error "unexpected argument '$1'" ;;
esac
need_packages build
configure build
build build vesper
say "built $root/build/vesper"
