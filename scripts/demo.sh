#!/usr/bin/env bash
# A tour of Vesper on this machine: builds it, starts the nodes of a list, writes and reads, kills
# the leader, shows that nothing was lost and how long failover took. Then the cluster stays up
# until Ctrl-C. The tour shows every command before it runs; paste them into a second terminal.
#
#   scripts/demo.sh               the five nodes of ip_list.txt
#   scripts/demo.sh --once        ends after the tour
#   scripts/demo.sh --list FILE   other nodes; data is kept in vesper-data beside the list
#   scripts/demo.sh --tls         the same nodes with TLS: list, certificates and data in tls-demo
#   scripts/demo.sh --fresh       removes the data of an earlier run first; otherwise it is reused
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/packages.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/nodes.sh"

once=no
tls=no
curl=(curl -sS)
fresh=no
dead=''    # the id of the leader that was killed
sleeper='' # the process that the script waits for at the end
list_option=$root/ip_list.txt
shown=build/vesper # the path of the binary in the commands that are shown
[[ -z ${VESPER:-} ]] || shown=$VESPER

parse() {
  while (($# > 0)); do
    case $1 in
      -h | --help)
        print_manual
        exit 0
        ;;
      --once) once=yes ;;
      --tls) tls=yes ;;
      --fresh) fresh=yes ;;
      --list)
        (($# > 1)) || usage_error "--list needs a value"
        list_option=$2
        shift
        ;;
      --list=*) list_option=${1#*=} ;;
      *) usage_error "unknown argument '$1'" ;;
    esac
    shift
  done
}

# show COMMAND...: prints the command as a person would type it.
show() {
  local word line='$'
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=?,@%+-]+$ ]]; then
      line+=" $word"
    else
      line+=" '${word//\'/\'\\\'\'}'"
    fi
  done
  say "$line"
}

# run COMMAND...: shows and runs the command, prints its output and leaves that in `output`.
run() {
  local code=0
  show "$@"
  output=$("$@") || code=$?
  [[ -z $output ]] || say "$output"
  ((code == 0)) || die "the command above ended with exit code $code" "The nodes' logs: $data/*.log"
}

# expect TEXT: fails unless the last output contains TEXT.
expect() {
  [[ $output == *"$1"* ]] ||
    die "the output above does not contain '$1'" "The nodes' logs: $data/*.log"
}

# leader_id: prints the id of the leader that the nodes name; fails if no leader is known.
leader_id() {
  local asked id url
  for asked in "${urls[@]}"; do
    url=$("${curl[@]}" --max-time 1 "$asked/status" 2>/dev/null |
      sed -n 's/.*"leader":"\([^"]*\)".*/\1/p') || continue
    for id in "${!urls[@]}"; do
      if [[ ${urls[$id]} == "${url%/}" ]]; then
        printf '%s' "$id"
        return
      fi
    done
  done
  return 1
}

end_cluster() {
  local code=$?
  trap - EXIT INT TERM HUP
  trap '' PIPE
  [[ -z $sleeper ]] || kill "$sleeper" 2>/dev/null || true
  # The nodes are stopped also if no one reads any more (demo.sh | head).
  printf '\n' 2>/dev/null || exec >/dev/null 2>&1
  say "stopping the nodes; data and logs stay in $data"
  stop_nodes "${!urls[@]}"
  exit "$code"
}

prepare() {
  local id
  need_packages demo
  for id in "${!urls[@]}"; do
    if node_pid "$id" >/dev/null; then
      die "node $id of $list already runs" "Stop it first: scripts/cluster.sh stop --list $list"
    fi
    need_free_port "$id"
  done
  if [[ $fresh == yes ]]; then
    "$root/scripts/cluster.sh" wipe --yes --list "$list"
  elif [[ -e $data/0 ]]; then
    say "using the data of an earlier run in $data (--fresh removes it first)"
  fi
}

# A list of the same hosts and ports with https://, and certificates for the hosts, in a folder
# beside the list.
make_tls_list() {
  local folder hosts=() id
  folder=$(dirname "$list")/tls-demo
  mkdir -p "$folder"
  sed 's|http://|https://|' "$list" >"$folder/ip_list.txt"
  mapfile -t hosts < <(for id in "${!urls[@]}"; do printf '%s\n' "$(host_of "$id")"; done | sort -u)
  step "make an authority, and certificates for the nodes and a client"
  if [[ -e $folder/pki/ca.crt ]]; then
    say "using the certificates of an earlier run in $folder/pki"
  else
    run "$shown" pki init "$folder/pki" --hosts "$(join_words "${hosts[@]}")"
  fi
  read_list "$folder/ip_list.txt"
  curl+=(--cacert "$pki/ca.crt")
  say "\$ export VESPER_CACERT=$VESPER_CACERT"
}

start_cluster() {
  local began ended
  step "start ${#urls[@]} nodes"
  say "\$ scripts/cluster.sh start --list $list"
  trap end_cluster EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  trap 'exit 141' PIPE
  now_us began
  start_nodes "${!urls[@]}"
  now_us ended
  say "a leader serves after $(((ended - began) / 1000)) ms; logs: $data/*.log"
}

write_and_read() {
  step "write on one node, read on another: every node serves every request"
  run "$shown" client "${urls[0]}" name 'Kyle Chard'
  expect success
  run "$shown" client "${urls[-1]}" name
  expect 'Kyle Chard'
  step "the same with curl"
  run "${curl[@]}" -X PUT -d 'Kyle Chard' "${urls[-1]}/kv/name"
  expect '"revision"'
  run "${curl[@]}" "${urls[0]}/kv/name"
  expect 'Kyle Chard'
}

# The clock starts just before the kill and stops when the reply arrives. A node that lost its
# leader keeps the write until the next leader decides it, so one attempt should be enough.
kill_the_leader() {
  local leader pid began wrote read_at other i
  leader=$(leader_id) || die "no node knows a leader" "The nodes' logs: $data/*.log"
  pid=$(node_pid "$leader") || die "node $leader does not run" "Its log: $(log_file "$leader")"
  other=$(((leader + 1) % ${#urls[@]}))
  step "kill -9 the leader, node $leader at ${urls[$leader]}, and ask node $other at once"
  show kill -9 "$pid"
  show "${curl[@]}" -X PUT -d 'after the crash' "${urls[$other]}/kv/news"
  now_us began
  kill -9 "$pid"
  for ((i = 0; ; i++)); do
    output=$("${curl[@]}" -f -m 10 -X PUT -d 'after the crash' "${urls[$other]}/kv/news" 2>&1) &&
      break
    ((i < 100)) || die "no write was acknowledged after the kill: $output" "Logs: $data/*.log"
    sleep 0.01
  done
  now_us wrote
  say "$output"
  run "${curl[@]}" "${urls[$other]}/kv/name"
  now_us read_at
  expect 'Kyle Chard'
  rm -f "$(pid_file "$leader")"
  say ''
  say "The next write was acknowledged $(((wrote - began) / 1000)) ms after the kill" \
    "(attempts: $((i + 1))), and at $(((read_at - began) / 1000)) ms the old value was read."
  dead=$leader
}

show_table() {
  step "the nodes now"
  show "$shown" status --endpoints "$(endpoints)"
  "$vesper" status --endpoints "$(endpoints)" || die "no leader serves" "Logs: $data/*.log"
}

stay_up() {
  local alive=$(((dead + 1) % ${#urls[@]}))
  step "the cluster stays up: Ctrl-C ends it"
  say "  scripts/cluster.sh restart $dead --list $list     # the killed node catches up"
  say "  $shown client ${urls[$alive]} greeting hello"
  say "  ${curl[*]} ${urls[$alive]}/kv/greeting"
  while :; do
    sleep 3600 &
    sleeper=$!
    wait "$sleeper"
  done
}

main() {
  parse "$@"
  read_list "$list_option"
  ((${#urls[@]} >= 3)) ||
    die "$list names ${#urls[@]} nodes; without the leader they have no majority" \
      "The tour kills the leader, so it needs a list of three nodes or more."
  [[ -n ${VESPER:-} ]] || cd "$root"
  if [[ -z ${VESPER:-} ]]; then
    need_packages build
    configure build
    build build vesper
  fi
  [[ $tls == no ]] || make_tls_list
  prepare
  start_cluster
  say "(run the commands below in $PWD)"
  write_and_read
  kill_the_leader
  show_table
  [[ $once == yes ]] || stay_up
}

main "$@"
