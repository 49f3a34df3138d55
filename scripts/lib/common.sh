# shellcheck shell=bash
# Shared by every script: the root of the tree, messages, the build. Sourced, never run. Installs
# nothing (packages.sh does).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# die WHAT [WHAT-TO-DO...]: prints what went wrong, then what the reader can do about it.
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  local hint
  for hint in "$@"; do printf '       %s\n' "$hint" >&2; done
  exit 1
}

# usage_error WHAT: for wrong arguments; exit code 2, as in `vesper` itself.
usage_error() {
  printf 'error: %s\n       see %s --help\n' "$1" "$0" >&2
  exit 2
}

# The comment at the top of a script is its manual; this prints it without the "# ".
print_manual() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }

# Is $1 one of the arguments that follow?
is_in() {
  local wanted=$1 one
  shift
  for one in "$@"; do [[ $one == "$wanted" ]] && return 0; done
  return 1
}

# now_us NAME: stores the wall clock in microseconds in the variable NAME, without a new process.
now_us() { printf -v "$1" '%s' "${EPOCHREALTIME/[.,]/}"; }

# configure FOLDER [MESON-OPTION...]: sets up a build folder once; ninja keeps it up to date.
# Downloads nothing if Debian's packages are complete (packages.sh sets that).
configure() {
  local folder=$1
  shift
  [[ -f $root/$folder/build.ninja ]] && return
  local log wrap_mode=(--wrap-mode=nodownload)
  [[ ${may_download:-no} == yes ]] && wrap_mode=()
  log=$(mktemp)
  say "setting up $folder/"
  if ! (cd "$root" && meson setup "$folder" "${wrap_mode[@]}" "$@") >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    die "meson could not set up $folder/ (its last lines are above)" \
      "If a library is missing, run scripts/deps.sh." \
      "If the folder is left over from something else, remove $root/$folder and try again."
  fi
  rm -f "$log"
}

# build FOLDER [TARGET...]: shows a progress line on a terminal, and is quiet otherwise.
build() {
  local folder=$1 quiet=(--quiet)
  shift
  [[ -t 1 ]] && quiet=()
  (cd "$root" && ninja -C "$folder" "${quiet[@]}" "$@") ||
    die "the build in $folder/ failed (read the compiler's first message)" \
      "If a line says 'Killed', memory ran out. Then run: ninja -C $root/$folder -j1"
}

# cpp_files: the project's own C++ files, without those in build folders and subprojects.
cpp_files() { find "$root/src" "$root/tests" -type f \( -name '*.cpp' -o -name '*.hpp' \) | sort; }
