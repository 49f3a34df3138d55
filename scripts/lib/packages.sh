# shellcheck shell=bash
# Debian packages: the packages that each purpose needs, and the installation of missing ones.
# Sourced after common.sh. It asks dpkg first, so that nothing happens if nothing is missing.

packages_build=(g++ meson ninja-build pkg-config ccache libuv1-dev node-llhttp rapidjson-dev
  libcli11-dev libspdlog-dev libfmt-dev libxxhash-dev libzstd-dev libssl-dev doctest-dev
  libncurses-dev librapidcheck-dev)
packages_demo=(curl)
packages_test=(curl openssl python3 python3-jsonschema nodejs strace iproute2 nftables wrk chromium)
packages_check=(clang-format clang-tidy shellcheck python3)
packages_sanitizers=(clang libclang-rt-dev)
packages_fuzz=(clang llvm libclang-rt-dev)
packages_browser=(chromium firefox-esr)
packages_npm=(nodejs npm)
packages_figures=(wrk strace valgrind)

# missing_packages PACKAGE...: prints those that are not installed.
missing_packages() {
  local installed package
  # dpkg-query fails for a name that it does not know; here that only means "missing".
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qxF "installed $package" <<<"$installed" || printf '%s\n' "$package"
  done
}

# On systems not based on Debian the tools have to be installed already; the wraps of subprojects/
# may fetch the libraries that the system lacks.
need_tools_only() {
  local tool absent=()
  for tool in meson ninja pkg-config; do
    command -v "$tool" >/dev/null || absent+=("$tool")
  done
  command -v c++ >/dev/null || command -v g++ >/dev/null || absent+=("a C++20 compiler")
  ((${#absent[@]} == 0)) ||
    die "there is no apt-get, and these are missing: ${absent[*]}" \
      "Install a C++20 compiler (GCC 12 or clang 14, or later), meson 1.0 or later, ninja and" \
      "pkg-config with this system's own tools and run the script again. Libraries that the" \
      "system lacks are then fetched by the wraps of subprojects/."
  # shellcheck disable=SC2034  # read by configure
  may_download=yes
}

# need_packages PURPOSE...: installs what is missing for build, demo, test, check, sanitizers, fuzz,
# npm, browser or figures.
need_packages() {
  local purpose wanted=() missing=()
  for purpose in "$@"; do
    local -n list="packages_$purpose"
    wanted+=("${list[@]}")
  done
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    need_tools_only
    return
  fi
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

install_packages() {
  local as_root=() log
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "packages are missing, and installing them needs root or sudo: $*" \
        "As root: apt-get update && apt-get install --no-install-recommends $*"
    as_root=(sudo)
  fi
  say "installing from Debian: $*"
  log=$(mktemp)
  # A mirror of another package source may be unreachable: only the installation decides.
  if ! {
    "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=120 update ||
      echo "apt-get update failed: continuing with the existing lists"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
      -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: $*" \
      "Check that a Debian mirror is reachable; the lines above name the one that was asked." \
      "If another apt or dpkg is running, wait until it ends. By hand, as root:" \
      "apt-get update && apt-get install --no-install-recommends $*"
  fi
  rm -f "$log"
}

# need_from_npm NAME WHAT: installs the pinned packages of scripts/lib/NAME/ into build/NAME/. They
# come from npm, because Debian has none. Without them, the tests that need WHAT are skipped.
need_from_npm() {
  # shellcheck disable=SC2154  # common.sh sets root
  local versions=$root/scripts/lib/$1 folder=$root/build/$1 log
  ! cmp -s "$versions/package-lock.json" "$folder/node_modules/.installed" || return 0
  command -v npm >/dev/null || need_packages npm
  say "installing from npm: $2"
  mkdir -p "$folder"
  cp "$versions"/package*.json "$folder"
  log=$(mktemp)
  if command -v npm >/dev/null && timeout 120 npm ci --prefix "$folder" --ignore-scripts \
    --no-audit --no-fund >"$log" 2>&1 </dev/null; then
    cp "$versions/package-lock.json" "$folder/node_modules/.installed"
  else
    tail -n 5 "$log" >&2
    warn "$2 could not be installed: the tests that need it are skipped"
  fi
  rm -f "$log"
}
