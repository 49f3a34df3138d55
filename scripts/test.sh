#!/usr/bin/env bash
# Installs missing packages, builds and runs every test. The last line is "N passed, N failed",
# counted in test cases; the exit code is 0 only if none failed. The tests of the rooms that parse
# input (suite sanitized) run with the address and undefined-behaviour sanitizers, all others in the
# release build.
#
#   scripts/test.sh              the above; a quarter of an hour at most
#   scripts/test.sh --full       everything in both builds, including slow cases
#   scripts/test.sh --quick      everything except slow cases, in the release build only
#   scripts/test.sh NAME...      only the tests with these names (meson test -C build --list)
#
# Output of the tests: build/meson-logs/testlog.txt, build-asan/meson-logs/testlog.txt.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

full=no
quick=no
names=()
passed=0
failed=0

parse() {
  local argument
  for argument in "$@"; do
    case $argument in
      -h | --help)
        print_manual
        exit 0
        ;;
      --full) full=yes ;;
      --quick) quick=yes ;;
      -*) usage_error "unknown option '$argument'" ;;
      *) names+=("$argument") ;;
    esac
  done
}

# run_tests FOLDER [MESON-TEST-OPTION...]: runs the tests and prints the counts on one line.
run_tests() {
  local folder=$1 log code=0 counted p f s
  shift
  log=$root/$folder/meson-logs/testlog.json
  rm -f "$log"
  # One test more than processors at a time: most of them wait more than they work.
  (cd "$root" && meson test -C "$folder" --num-processes "$(($(nproc) + 1))" --print-errorlogs \
    "$@" "${names[@]}") || code=$?
  [[ -f $log ]] ||
    die "no test ran in $folder/ (meson test ended with code $code)" \
      "The names of all tests: meson test -C $root/$folder --list"
  counted=$(python3 "$root/scripts/lib/count_tests.py" "$log")
  read -r p f s <<<"$counted"
  # meson reports a failure that its log does not contain: believe meson.
  if ((code != 0 && f == 0)); then f=1; fi
  say "$folder: $p passed, $f failed, $s skipped"
  passed=$((passed + p))
  failed=$((failed + f))
}

sanitizer_tests() {
  local options=(--suite sanitized)
  [[ $full == no ]] || options=(--no-suite layout --no-suite scripts --no-suite over_tls)
  step "with the address and undefined-behaviour sanitizers (build-asan/)"
  # clang takes half of the time that GCC takes to build this, and reads the code with other eyes. A
  # report needs only line numbers (-g1).
  local compiler=()
  command -v clang++ >/dev/null && compiler=(CC=clang CXX=clang++)
  (
    ((${#compiler[@]} == 0)) || export "${compiler[@]}"
    configure build-asan --buildtype=debug -Ddebug=false -Doptimization=1 -Db_lundef=false \
      "-Dcpp_args=-g1 -D_GLIBCXX_ASSERTIONS=1" -Db_sanitize=address,undefined
  )
  ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1} \
    UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1} \
    run_tests build-asan --timeout-multiplier 4 "${options[@]}"
}

main() {
  parse "$@"
  need_packages build test
  if [[ $quick == no && ${#names[@]} == 0 ]]; then need_packages sanitizers; fi
  step "release build (build/)"
  configure build
  if [[ $quick == no && ${#names[@]} == 0 ]] || is_in 'openapi validator' "${names[@]}"; then
    need_from_npm openapi-validator "a validator of /openapi.json"
  fi
  if [[ $quick == no && ${#names[@]} == 0 ]] || is_in 'cluster page' "${names[@]}"; then
    need_from_npm axe-core "axe-core, which judges the accessibility of the page"
  fi
  if [[ $full == yes ]]; then need_packages browser; fi
  local options=()
  [[ $full == yes || ${#names[@]} != 0 ]] || options=(--no-suite over_tls)
  [[ $full == yes || $quick == yes || ${#names[@]} != 0 ]] || options+=(--no-suite sanitized)
  [[ $full == no ]] || export VESPER_FULL=1
  run_tests build "${options[@]}"
  if [[ $quick == no && ${#names[@]} == 0 ]]; then sanitizer_tests; fi
  ((failed == 0)) ||
    say "The output of the failed tests is above and in build*/meson-logs/testlog.txt."
  say "$passed passed, $failed failed"
  ((failed == 0))
}

main "$@"
