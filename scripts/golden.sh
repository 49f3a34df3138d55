#!/usr/bin/env bash
# Runs the golden scripts. Each drives bare Raft cores and compares the trace that they print with
# the trace in the same file. tests/golden/README.md explains the language.
#
#   scripts/golden.sh                   all of them
#   scripts/golden.sh NAME...           the scripts with NAME in their file names
#   scripts/golden.sh --update [NAME...]   writes the printed traces into the files: read the diff
#
# Exit code 0 only if every trace is the same and every expectation is met.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

folder=$root/tests/golden

# selected NAME...: prints the scripts with one of the names in their file names.
selected() {
  local name file some
  for name in "$@"; do
    name=${name##*/} some=no
    name=${name%.txt}
    for file in "$folder"/*"$name"*.txt; do
      [[ -f $file ]] || continue
      printf '%s\n' "$file"
      some=yes
    done
    [[ $some == yes ]] || usage_error "no golden script has '$name' in its name"
  done
}

main() {
  local argument update=0 names=() files=() list
  for argument in "$@"; do
    case $argument in
      -h | --help)
        print_manual
        exit 0
        ;;
      --update) update=1 ;;
      -*) usage_error "unknown option '$argument'" ;;
      *) names+=("$argument") ;;
    esac
  done
  files=("$folder")
  if ((${#names[@]} > 0)); then
    list=$(selected "${names[@]}") || exit 2
    mapfile -t files < <(sort -u <<<"$list")
  fi
  if [[ -z ${VESPER_GOLDEN:-} ]]; then
    need_packages build
    configure build
    build build tests/golden/golden
  fi
  VESPER_GOLDEN_UPDATE=$update "${VESPER_GOLDEN:-$root/build/tests/golden/golden}" "${files[@]}"
}

main "$@"
