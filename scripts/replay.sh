#!/usr/bin/env bash
# Replays one simulated world and prints its trace, one line per event. The same seed gives the same
# world, bit for bit, while the source is the same: a failure names its commit.
#
#   scripts/replay.sh SEED                 the world of SEED
#   scripts/replay.sh SEED --messages      also every message
#   scripts/replay.sh SEED OPTION...       options of build/vesper-sim: --servers 3, --clients 1,
#                                          --seconds 2, --without crash,loss, --flips
#
# Builds first if the source changed. Exit code: 1 if the world fails, else 0.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

main() {
  if is_in --help "$@" || is_in -h "$@"; then
    print_manual
    return 0
  fi
  (($# > 0)) || usage_error "no seed given"
  [[ $1 =~ ^[0-9]+$ ]] || usage_error "'$1' is not a seed; expected a whole number"
  local seed=$1
  shift
  if [[ -z ${VESPER_SIM:-} ]]; then
    need_packages build
    configure build >&2
    build build vesper-sim >&2
  fi
  "${VESPER_SIM:-$root/build/vesper-sim}" --seed "$seed" --trace "$@"
}

main "$@"
