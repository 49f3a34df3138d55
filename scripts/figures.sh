#!/usr/bin/env bash
# Measures the figures of README on this machine: throughput, syncs per write, the cost of an idle
# node; time to a new leader (kill -9, SIGSTOP, a stalled disk, a leadership transfer); with a
# million keys the loop's longest turn during a snapshot, a restart, the catch-up of a follower;
# then the figures of docs/performance.md. Takes about twelve minutes; --quick takes three, with a
# tenth of the keys.
#
#   scripts/figures.sh [--quick]
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"

kills=40 freezes=10 stalls=5 transfers=20 rounds=3 keys=1000000
case "${1:-}" in
  -h | --help)
    print_manual
    exit
    ;;
  --quick) kills=10 freezes=3 stalls=2 transfers=5 rounds=1 keys=100000 ;;
  '') ;;
  *) usage_error "unknown argument '$1'" ;;
esac

need_packages build demo test figures
configure build
build build vesper
python3 "$root/tests/cluster/throughput.py" "$root/build/vesper" --rounds "$rounds" --seconds 2
python3 "$root/tests/cluster/figures.py" "$root/build/vesper" --kills "$kills" \
  --freezes "$freezes" --stalls "$stalls" --transfers "$transfers"
python3 "$root/tests/cluster/snapshot_figures.py" "$root/build/vesper" --keys "$keys" \
  --rounds "$rounds"
python3 "$root/tests/cluster/model_figures.py" "$root/build/vesper" --keys "$keys" \
  --rounds "$rounds"
python3 "$root/tests/cluster/turn_figures.py" "$root/build/vesper" --rounds "$rounds"
python3 "$root/tests/cluster/watch_figures.py" "$root/build/vesper" --keys "$keys" \
  --rounds "$rounds" --kills "$kills"
python3 "$root/tests/cluster/tls_figures.py" "$root/build/vesper" --rounds "$rounds"
python3 "$root/tests/cluster/trace_figures.py" "$root/build/vesper" --rounds "$((rounds * 3))" \
  --seconds 4
python3 "$root/tests/cluster/trace_figures.py" "$root/build/vesper" --instructions \
  --rounds "$rounds" --seconds 8
python3 "$root/tests/cluster/member_figures.py" "$root/build/vesper" --keys "$keys" \
  --values "$((keys * 8192 / 1000000))" --rounds "$rounds"
