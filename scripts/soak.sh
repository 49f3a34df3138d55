#!/usr/bin/env bash
# Runs the simulator for hours with seeds that have never run. Each round continues after the last
# seed of the round before, even of an earlier run (stored in build/soak.seed). Ends at the first
# round with a failure, or when the time is up, and prints what all rounds exercised.
#
#   scripts/soak.sh            one hour
#   scripts/soak.sh 8          eight hours; 0.1 is six minutes
#   scripts/soak.sh 8 100000   from seed 100000 on
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

round=1000  # seeds; half a minute on two cores

main() {
  if is_in --help "$@" || is_in -h "$@"; then
    print_manual
    return 0
  fi
  (($# <= 2)) || usage_error "too many arguments"
  [[ ${1:-1} =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage_error "'$1' is not a number of hours"
  [[ ${2:-1} =~ ^[0-9]+$ ]] || usage_error "'$2' is not a seed; expected a whole number"
  need_packages build
  configure build
  build build vesper-sim
  local until remembered=$root/build/soak.seed seed=1000000 log=$root/build/soak.log code=0
  until=$(awk -v now="$(date +%s)" -v hours="${1:-1}" 'BEGIN { printf "%d", now + hours * 3600 }')
  [[ ! -s $remembered ]] || seed=$(<"$remembered")
  seed=${2:-$seed}
  : >"$log"
  while ((code == 0 && $(date +%s) < until)); do
    say "seeds $seed to $((seed + round - 1))"
    nice -n 10 "$root/build/vesper-sim" --first "$seed" --seeds "$round" --jobs "$(nproc)" --json \
      >>"$log" || code=$?
    seed=$((seed + round))
    printf '%s\n' "$seed" >"$remembered"
  done
  python3 - "$log" <<'PYTHON'
import collections
import json
import sys

total = collections.Counter()
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        run = json.loads(line)
        total.update({name: run[name] for name in ("seeds", "failures", "simulated_seconds")})
        total.update(run["events"])
for name, count in total.items():
    print(f"{name:<24} {count:.0f}")
PYTHON
  return "$code"
}

main "$@"
