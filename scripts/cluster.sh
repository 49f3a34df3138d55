#!/usr/bin/env bash
# Starts, stops, kills and pauses the nodes of a list on this machine.
#
#   scripts/cluster.sh start [N...]   all nodes, or those named; waits until a leader serves
#   scripts/cluster.sh stop [N...]    SIGTERM; SIGKILL after 5 s
#   scripts/cluster.sh restart N...   stop and start
#   scripts/cluster.sh kill N...      SIGKILL, like a crash
#   scripts/cluster.sh pause N...     SIGSTOP: the process freezes, its connections stay open
#   scripts/cluster.sh resume N...    SIGCONT
#   scripts/cluster.sh status         processes, then the table of `vesper status`
#   scripts/cluster.sh wipe --yes     removes data and logs of all nodes; stop them first
#
#   --list FILE   default: ip_list.txt of the project
#   --data DIR    default: vesper-data beside the list; holds N/, N.log and N.pid
#
# N is the 0-based number of a node in the list. Starting a running node, or stopping a stopped one,
# is not an error. If a node of the list runs with another data folder, the script names it and
# fails: stop ends only nodes of --data. Exit code 0, 1 on failure, 2 on wrong usage. status exits
# like `vesper status`: 0 while a leader serves, else 5.
set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/nodes.sh"

command=''
nodes=()
yes=no
list_option=$root/ip_list.txt
data_option=''

parse() {
  while (($# > 0)); do
    case $1 in
      -h | --help)
        print_manual
        exit 0
        ;;
      --list | --data)
        (($# > 1)) || usage_error "$1 needs a value"
        if [[ $1 == --list ]]; then list_option=$2; else data_option=$2; fi
        shift
        ;;
      --list=*) list_option=${1#*=} ;;
      --data=*) data_option=${1#*=} ;;
      --yes) yes=yes ;;
      -*) usage_error "unknown option '$1'" ;;
      *) if [[ -z $command ]]; then command=$1; else nodes+=("$1"); fi ;;
    esac
    shift
  done
}

# signal_nodes SIGNAL DONE: checks that every named node runs before it signals the first one.
signal_nodes() {
  local id other pids=()
  for id in "${nodes[@]}"; do
    if pids[id]=$(node_pid "$id"); then continue; fi
    if other=$(elsewhere "$id"); then
      die "node $id of $list runs elsewhere: $other" "Name that folder with --data DIR."
    fi
    die "node $id does not run" "Start it: $0 start $id"
  done
  for id in "${nodes[@]}"; do
    kill "-$1" "${pids[id]}"
    say "node $id $2 (pid ${pids[id]})"
  done
}

kill_nodes() {
  local id
  signal_nodes KILL killed
  for id in "${nodes[@]}"; do rm -f "$(pid_file "$id")"; done
}

show_status() {
  local id pid state other
  [[ -x $vesper ]] || die "$vesper does not exist" "Build it: scripts/build.sh"
  for id in "${!urls[@]}"; do
    if ! pid=$(node_pid "$id"); then
      state=down
      if listens "$id"; then state="down, but an unknown process listens there"; fi
      if other=$(elsewhere "$id"); then state="up elsewhere: $other"; fi
    elif is_paused "$pid"; then
      state="paused, pid $pid"
    else
      state="up, pid $pid"
    fi
    printf 'node %s  %s  %s\n' "$id" "${urls[$id]}" "$state"
  done
  say ''
  "$vesper" status --endpoints "$(endpoints)"
}

wipe() {
  local id running
  running=$(running_nodes)
  ((running == 0)) || die "$running nodes of $list are running" "Stop them first: $0 stop"
  for id in "${!urls[@]}"; do
    if listens "$id"; then
      die "an unknown process listens at ${urls[$id]}; it may be a node with another list" \
        "Nothing was removed. Stop that process first."
    fi
  done
  [[ $yes == yes ]] ||
    die "this removes all data of ${#urls[@]} nodes below $data" \
      "To confirm, run it again with --yes."
  for id in "${!urls[@]}"; do
    rm -rf -- "${data:?}/$id"
    rm -f -- "$(log_file "$id")" "$(pid_file "$id")"
  done
  rmdir -- "$data" 2>/dev/null || true
  say "removed the data of ${#urls[@]} nodes below $data"
}

main() {
  local id
  parse "$@"
  [[ -n $command ]] || usage_error "no command given"
  is_in "$command" start stop restart kill pause resume status wipe ||
    usage_error "unknown command '$command'"
  [[ -z $data_option || $data_option == /* ]] || data_option=$PWD/$data_option
  read_list "$list_option" "$data_option"
  for id in "${nodes[@]}"; do need_id "$id"; done
  case $command in
    restart | kill | pause | resume)
      ((${#nodes[@]} > 0)) || usage_error "$command needs the number of a node"
      ;;
    status | wipe)
      ((${#nodes[@]} == 0)) || usage_error "$command takes no node: it always covers all nodes"
      ;;
    *) ((${#nodes[@]} > 0)) || nodes=("${!urls[@]}") ;;
  esac
  case $command in
    start)
      start_nodes "${nodes[@]}"
      say "$(running_nodes) of ${#urls[@]} nodes are running; data and logs: $data"
      ;;
    stop)
      stop_nodes "${nodes[@]}"
      ((left_running == 0)) || exit 1
      ;;
    restart)
      stop_nodes "${nodes[@]}"
      start_nodes "${nodes[@]}"
      ;;
    kill) kill_nodes ;;
    pause) signal_nodes STOP paused ;;
    resume) signal_nodes CONT resumed ;;
    status) show_status ;;
    wipe) wipe ;;
  esac
}

main "$@"
