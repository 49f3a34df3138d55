#!/usr/bin/env bash
# Breaks Vesper on purpose, one deliberate bug at a time (tests/sim/mutants.py lists them), in a
# copy of the tree, and lets the simulator look for each. Writes their rows in docs/testing.md. The
# exit code is 0 only if every bug was found within its number of seeds. Takes a quarter of an hour
# on two cores.
#
#   scripts/mutants.sh               all of them
#   scripts/mutants.sh vote read     those with "vote" or "read" in their names
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

main() {
  if is_in --help "$@" || is_in -h "$@"; then
    print_manual
    return 0
  fi
  need_packages build
  nice -n 10 python3 -B "$root/tests/sim/mutants.py" run --root "$root" "$@"
}

main "$@"
