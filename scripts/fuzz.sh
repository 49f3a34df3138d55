#!/usr/bin/env bash
# Builds the libFuzzer targets of tests/fuzz/ with clang (build-fuzz/) and runs each for a while,
# starting from the seeds in tests/fuzz/corpus/. New inputs are kept in build-fuzz/found/ and reused
# by the next run; the tree is not touched.
#
#   scripts/fuzz.sh              every target, 30 s each
#   scripts/fuzz.sh 300          300 s each
#   scripts/fuzz.sh 60 http      only the target fuzz_http
#
# An input that breaks a target is written to build-fuzz/crashes/, with the command to repeat it.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

# targets: prints the names of the targets, without fuzz_.
targets() {
  (cd "$root" && ninja -C build-fuzz -t targets all) |
    sed -n 's#^tests/fuzz/fuzz_\([a-z0-9_]*\): .*#\1#p' | sort -u
}

# fuzz NAME SECONDS
fuzz() {
  local name=$1 seconds=$2 scratch=$root/build-fuzz
  local found=$scratch/found/$name crashes=$scratch/crashes log=$scratch/fuzz_$name.log corpora
  mkdir -p "$found" "$crashes"
  corpora=("$found")
  [[ ! -d $root/tests/fuzz/corpus/$name ]] || corpora+=("$root/tests/fuzz/corpus/$name")
  if "$scratch/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$crashes/$name-" "${corpora[@]}" >"$log" 2>&1; then
    say "ok      $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
  else
    tail -n 40 "$log" >&2
    say "FAILED  $name: its log is $log; repeat with"
    say "        build-fuzz/tests/fuzz/fuzz_$name build-fuzz/crashes/$name-..."
    return 1
  fi
}

main() {
  local seconds=30 names=() all name passed=0 failed=0 cache=''
  case "${1:-}" in
    -h | --help)
      print_manual
      exit 0
      ;;
  esac
  if (($# > 0)); then
    [[ $1 =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "'$1' is not a number of seconds"
    seconds=$1
    shift
  fi
  need_packages build fuzz
  ! command -v ccache >/dev/null || cache='ccache '
  # With -Dfuzz=true meson.build itself sets the sanitizers, for the libraries as for the targets.
  CC=${CC:-${cache}clang} CXX=${CXX:-${cache}clang++} \
    configure build-fuzz --buildtype=debugoptimized -Dfuzz=true
  mapfile -t all < <(targets)
  ((${#all[@]} > 0)) || die "tests/fuzz/ has no target" "See docs/testing.md."
  names=("$@")
  (($# > 0)) || names=("${all[@]}")
  for name in "${names[@]}"; do
    is_in "$name" "${all[@]}" || usage_error "unknown target '$name'; expected: ${all[*]}"
  done
  build build-fuzz "${names[@]/#/tests/fuzz/fuzz_}"
  for name in "${names[@]}"; do
    if fuzz "$name" "$seconds"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
  say "$passed passed, $failed failed"
  ((failed == 0))
}

main "$@"
