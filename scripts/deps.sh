#!/usr/bin/env bash
# Installs the missing Debian packages, and nothing else. Takes milliseconds if none is missing.
# Every other script does this by itself for the packages that it needs.
#
#   scripts/deps.sh              packages for building, testing and the demo
#   scripts/deps.sh check fuzz   packages for these purposes: build demo test check sanitizers
#                                fuzz figures npm browser
#   scripts/deps.sh --list       prints the names of all of them and installs nothing
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

purposes=(build demo test check sanitizers fuzz figures npm browser)
case "${1:-}" in
  -h | --help)
    print_manual
    exit
    ;;
  --list)
    for purpose in "${purposes[@]}"; do
      declare -n list="packages_$purpose"
      printf '%-10s %s\n' "$purpose" "${list[*]}"
    done
    exit
    ;;
esac
for purpose in "$@"; do
  is_in "$purpose" "${purposes[@]}" ||
    usage_error "unknown purpose '$purpose'; expected: ${purposes[*]}"
done
(($# > 0)) || set -- build demo test
need_packages "$@"
