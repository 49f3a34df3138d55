#!/usr/bin/env bash
# Fixes what needs no decision: the format of every C++ file of the tree.
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
need_packages check
mapfile -t files < <(cpp_files)
clang-format -i "${files[@]}"
say "formatted ${#files[@]} files"
