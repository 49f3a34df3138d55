#!/usr/bin/env bash
# The checks that a change has to pass besides the tests: format, house rules, pages, scripts. It
# compiles nothing and never changes a file of the tree (scripts/fix.sh does). Takes seconds.
#
#   scripts/check.sh          format, tests/tidy, the deliberate bugs, scripts
#   scripts/check.sh --full   also clang-tidy, and every test with sanitizers: minutes
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

bad=()

# check NAME COMMAND...: continues after a failure, so that one run shows every failure.
check() {
  local name=$1
  shift
  if "$@"; then say "ok      $name"; else
    say "FAILED  $name"
    bad+=("$name")
  fi
}

format() {
  local files
  mapfile -t files < <(cpp_files)
  clang-format --dry-run -Werror "${files[@]}" || {
    say "        scripts/fix.sh fixes this"
    return 1
  }
}

# judge PROGRAM [ARGUMENT...]: runs one of the checks written in Python.
judge() {
  local program=$1
  shift
  python3 -B "$root/tests/$program" "$@" --root "$root"
}

syntax() {
  local file failed=0
  for file in "$root"/scripts/*.sh "$root"/scripts/lib/*.sh "$root"/.ci/run; do
    bash -n "$file" || failed=1
  done
  return "$failed"
}

lint_scripts() { (cd "$root" && shellcheck scripts/*.sh scripts/lib/*.sh .ci/run); }

tidy() {
  local files
  mapfile -t files < <(cpp_files | grep '/src/.*\.cpp$')
  printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 2 clang-tidy -p "$root/build" --quiet
}

main() {
  local full=no
  case "${1:-}" in
    '') ;;
    --full) full=yes ;;
    -h | --help)
      print_manual
      exit 0
      ;;
    *) usage_error "unknown argument '$1'" ;;
  esac
  need_packages check
  check format format
  check layout judge tidy/layout.py
  check rules judge tidy/rules.py
  check pages judge tidy/pages.py
  check "deliberate bugs" judge sim/mutants.py check
  check "script syntax" syntax
  check shellcheck lint_scripts
  if [[ $full == yes ]]; then
    need_packages build
    configure build
    check clang-tidy tidy
    check tests "$root/scripts/test.sh" --full
  fi
  ((${#bad[@]} == 0)) || die "failed checks: ${bad[*]}" "The findings are above each FAILED."
}

main "$@"
