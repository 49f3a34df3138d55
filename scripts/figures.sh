#!/usr/bin/env bash
# Measures the figures of README on this machine: failover under load (kill -9, SIGSTOP),
# throughput, syncs per write, what an idle node costs. Takes about ten minutes; --quick takes one.
#
#   scripts/figures.sh [--quick]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/lib/packages.sh"

kills=100 freezes=20 rounds=5
case "${1:-}" in
  -h | --help)
    print_manual
    exit
    ;;
  --quick) kills=20 freezes=5 rounds=1 ;;
  '') ;;
  *) usage_error "'$1' is no option here" ;;
esac

need_packages build demo test figures
configure build
build build vesper
python3 "$root/tests/cluster/throughput.py" "$root/build/vesper" --rounds "$rounds"
python3 "$root/tests/cluster/figures.py" "$root/build/vesper" --kills "$kills" --freezes "$freezes"
