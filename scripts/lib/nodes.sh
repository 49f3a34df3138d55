# shellcheck shell=bash
# Nodes as processes of this machine: reads a list; starts, signals and waits for nodes. Sourced
# after common.sh by cluster.sh and demo.sh. A process is signalled only after /proc has shown that
# it is the node that its pid file claims.

vesper=${VESPER:-$root/build/vesper} # VESPER: another binary, for tests
list=''                              # absolute path of the list in use, symbolic links resolved
data=''                              # folder of data, logs and pid files
urls=()                              # urls[id]: as written in the list
pki=''                               # folder of `vesper pki`, for a list of https:// lines
declare -A started=()                # started[id]: pid of a node that this shell started
left_running=0                       # number of nodes that stop_nodes could not stop

# read_list FILE [DATA-FOLDER]: fills the variables above. It checks only what the scripts need; the
# binary checks the list more strictly.
read_list() {
  local line number=0 url_form='^https?://(\[[0-9A-Fa-f:.]+\]|[^][/:[:space:]]+):[0-9]+$'
  [[ -r $1 ]] || die "the list $1 cannot be read" "Name another one with --list FILE."
  list=$(readlink -f -- "$1")
  data=${2:-$(dirname "$list")/vesper-data}
  urls=()
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    ((number > 1)) || line=${line#$'\xef\xbb\xbf'}
    line=${line//[$' \t\r']/}
    [[ -z $line || $line == '#'* ]] && continue
    line=${line%/}
    [[ $line =~ $url_form ]] ||
      die "$1:$number: found '$line', expected http://host:port or https://host:port" \
        "Correct the list."
    urls+=("$line")
  done <"$list"
  ((${#urls[@]} > 0)) || die "$1 names no node" "Write one http://host:port per line."
  [[ ${urls[0]} != https://* ]] || use_pki "$(dirname "$list")/pki"
}

# use_pki FOLDER: the nodes take their certificates from there, and the commands trust its
# authority.
use_pki() {
  pki=$1
  [[ -r $pki/ca.crt ]] ||
    die "$list has https:// lines, but there is no $pki/ca.crt" \
      "Make it: vesper pki init $pki --hosts HOST,HOST"
  export VESPER_CACERT=$pki/ca.crt
}

# host_of ID: the host of a node's address, without brackets.
host_of() {
  local host=${urls[$1]#*://}
  host=${host%:*}
  host=${host#[}
  printf '%s' "${host%]}"
}

# join_words WORD...: with commas between them.
join_words() {
  local IFS=,
  printf '%s' "$*"
}

endpoints() { join_words "${urls[@]}"; }

majority() { printf '%s' $((${#urls[@]} / 2 + 1)); }

pid_file() { printf '%s' "$data/$1.pid"; }
log_file() { printf '%s' "$data/$1.log"; }

# need_id N: fails unless N is the 0-based id of a line of the list.
need_id() {
  if [[ ! $1 =~ ^(0|[1-9][0-9]{0,3})$ ]] || (($1 >= ${#urls[@]})); then
    usage_error "'$1' is not a node of $list: expected 0 to $((${#urls[@]} - 1))"
  fi
}

# path_of PID PATH: a path in the arguments of a process, as this shell would name it.
path_of() { if [[ $2 == /* ]]; then printf '%s' "$2"; else printf '%s' "/proc/$1/cwd/$2"; fi; }

# is_node PID ID: true if the process is node ID of this list, under whatever path. A pid file may
# predate the machine's last restart, and another process may have its number by now.
is_node() {
  local words i named
  [[ $1 =~ ^[1-9][0-9]*$ ]] || return 1
  mapfile -d '' -t words 2>/dev/null <"/proc/$1/cmdline" || return 1
  for ((i = 0; i + 3 < ${#words[@]}; i++)); do
    [[ ${words[i]##*/} == "${vesper##*/}" && ${words[i + 1]} == server &&
      ${words[i + 2]} == "$2" ]] || continue
    named=$(path_of "$1" "${words[i + 3]}")
    [[ $named == "$list" || $named -ef $list ]] && return 0
  done
  return 1
}

# data_of PID ID: the data folder of a process that is_node has accepted.
data_of() {
  local words i folder=''
  mapfile -d '' -t words 2>/dev/null <"/proc/$1/cmdline" || return 1
  for ((i = 0; i < ${#words[@]}; i++)); do
    case ${words[i]} in
      --data-dir) folder=${words[i + 1]:-} ;;
      --data-dir=*) folder=${words[i]#*=} ;;
      server) [[ -n $folder ]] || folder=$(dirname "${words[i + 2]:-}")/vesper-data/$2 ;;
    esac
  done
  readlink -m -- "$(path_of "$1" "$folder")"
}

# node_pids ID: the processes that are node ID of this list, in any data folder.
node_pids() {
  local file pid
  while IFS= read -r file; do
    pid=${file#/proc/}
    pid=${pid%/cmdline}
    if is_node "$pid" "$1"; then printf '%s\n' "$pid"; fi
  done < <(grep -lszxF server /proc/[0-9]*/cmdline)
}

# node_pid ID: prints the pid of the running node, or fails. If the pid file is missing, it finds
# the node by its list, id and data folder.
node_pid() {
  local pid file
  file=$(pid_file "$1")
  if [[ -r $file ]] && read -r pid <"$file" && is_node "$pid" "$1"; then
    printf '%s' "$pid"
    return 0 # a bare return would have the code from before the trap when called in one
  fi
  for pid in $(node_pids "$1"); do
    [[ $(data_of "$pid" "$1") == "$(readlink -m -- "$data/$1")" ]] && printf '%s' "$pid" && return 0
  done
  return 1
} 2>/dev/null

# elsewhere ID: prints which process runs node ID with another data folder, or fails.
elsewhere() {
  local pid
  for pid in $(node_pids "$1"); do
    [[ $(data_of "$pid" "$1") == "$(readlink -m -- "$data/$1")" ]] && continue
    printf 'process %s, with its data in %s' "$pid" "$(data_of "$pid" "$1")"
    return 0
  done
  return 1
}

is_paused() {
  local state
  state=$(sed -n 's/^State:[[:space:]]*\([A-Za-z]\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
  [[ $state == T ]]
}

# True if something accepts connections at the node's address. Only for addresses of this machine.
listens() {
  local host port=${urls[$1]##*:}
  host=$(host_of "$1")
  case $host in 127.* | localhost | ::1) ;; *) return 1 ;; esac
  (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

# Prints which process holds the node's port, for a message; empty if that cannot be seen.
port_holder() {
  command -v ss >/dev/null || return 0
  ss -Hltnp "sport = :${urls[$1]##*:}" 2>/dev/null | sed -n 's/.*users:((\([^)]*\)).*/ (\1)/p' |
    head -n 1
}

# What the server's exit codes mean (docs/architecture.md has the table).
explain_exit() {
  case $1 in
    0) printf 'it ended by itself' ;;
    2) printf 'the list or an option is wrong' ;;
    10) printf 'its address is in use or does not belong to this machine' ;;
    11) printf 'its data directory was refused: locked, damaged, or of another cluster or id' ;;
    12) printf 'its storage failed' ;;
    13) printf 'it was removed from the cluster' ;;
    126 | 127) printf 'the program could not be run' ;;
    *) printf 'it ended with code %s' "$1" ;;
  esac
}

# need_free_port ID: fails before anything is started. The server checks this, too (exit code 10).
need_free_port() {
  local other
  if other=$(elsewhere "$1"); then
    die "node $1 of $list already runs: $other" "Name that folder with --data DIR."
  fi
  if listens "$1"; then
    die "${urls[$1]} is in use$(port_holder "$1"), so node $1 cannot start there" \
      "Stop that program, or use another list: --list FILE." \
      "If it is a node that was started without this script, end it with kill."
  fi
}

# spawn ID: starts the process of a node, detached from the terminal, so that a Ctrl-C meant for a
# script does not also stop the cluster.
spawn() {
  local id=$1 host flags=()
  mkdir -p "$data"
  if [[ -n $pki ]]; then
    host=$(host_of "$id")
    flags=(--tls-cert "$pki/$host.crt" --tls-key "$pki/$host.key" --tls-ca "$pki/ca.crt")
  fi
  setsid "$vesper" server "$id" "$list" --data-dir "$data/$id" "${flags[@]}" \
    >>"$(log_file "$id")" 2>&1 </dev/null &
  started[$id]=$!
  printf '%s\n' "$!" >"$(pid_file "$id")"
}

# Fails if a node that this shell started has ended, and prints the end of its log.
check_started() {
  local id pid code
  for id in "${!started[@]}"; do
    pid=${started[$id]}
    kill -0 "$pid" 2>/dev/null && continue
    code=0
    wait "$pid" || code=$?
    unset "started[$id]"
    rm -f "$(pid_file "$id")"
    tail -n 5 "$(log_file "$id")" | sed 's/^/  | /' >&2
    die "node $id did not start: $(explain_exit "$code")" "Its log: $(log_file "$id")"
  done
}

# wait_for SECONDS PROBLEM COMMAND...: waits until COMMAND succeeds, and watches the started nodes.
# If the time is up, it fails with PROBLEM.
wait_for() {
  local seconds=$1 problem=$2 now deadline
  shift 2
  now_us now
  deadline=$((now + seconds * 1000000))
  until "$@"; do
    check_started
    now_us now
    ((now < deadline)) ||
      die "$problem after $seconds s" "Look at the logs: $data/*.log" \
        "and at the nodes: scripts/cluster.sh status --list $list"
    sleep 0.02
  done
}

leader_serves() {
  "$vesper" status --endpoints "$(endpoints)" --timeout 1s >/dev/null 2>&1
}

# forget_started: lets the nodes outlive this shell, and keeps bash quiet when one is killed.
forget_started() {
  local id
  for id in "${!started[@]}"; do disown "${started[$id]}" 2>/dev/null || true; done
  started=()
}

running_nodes() {
  local id count=0
  for id in "${!urls[@]}"; do
    if node_pid "$id" >/dev/null; then count=$((count + 1)); fi
  done
  printf '%s' "$count"
}

# start_nodes ID...: starts those that do not run, and waits until they listen. If a majority runs,
# it also waits until a leader serves.
start_nodes() {
  local id pid absent=()
  [[ -x $vesper ]] || die "$vesper does not exist" "Build it: scripts/build.sh"
  for id in "$@"; do
    if pid=$(node_pid "$id"); then
      say "node $id already runs (pid $pid)"
    else
      need_free_port "$id"
      absent+=("$id")
    fi
  done
  for id in "${absent[@]}"; do spawn "$id"; done
  for id in "${!started[@]}"; do
    case $(host_of "$id") in
      127.* | localhost | ::1)
        wait_for 15 "node $id does not listen at ${urls[$id]}" listens "$id"
        ;;
    esac
  done
  if (($(running_nodes) >= $(majority))); then
    wait_for 15 "no leader serves" leader_serves
  else
    warn "fewer than $(majority) of ${#urls[@]} nodes run: no leader can be elected"
  fi
  forget_started
}

# stop_nodes ID...: SIGTERM, then SIGKILL for nodes that still run after 5 s. A paused process is
# resumed so that it sees its SIGTERM. Warns of nodes that run and are not stopped, and counts them
# in left_running.
stop_nodes() {
  local id pid tries other
  local -A pids=()
  left_running=0
  for id in "$@"; do
    # A child of this shell may be too young to look like a node yet.
    if pid=${started[$id]:-} && [[ -n $pid ]] || pid=$(node_pid "$id"); then
      pids[$id]=$pid
      kill -TERM "$pid" 2>/dev/null || true
      kill -CONT "$pid" 2>/dev/null || true
    elif other=$(elsewhere "$id"); then
      warn "node $id of $list is not stopped: it runs as $other"
      left_running=$((left_running + 1))
    elif listens "$id"; then
      warn "nothing is stopped at ${urls[$id]}: the process there$(port_holder "$id")" \
        "is not recognizable as a node of $list"
      left_running=$((left_running + 1))
    fi
  done
  for id in "${!pids[@]}"; do
    for ((tries = 0; tries < 250; tries++)); do
      is_node "${pids[$id]}" "$id" || break
      sleep 0.02
    done
    if is_node "${pids[$id]}" "$id"; then
      warn "node $id did not stop within 5 s of SIGTERM: killing it"
      kill -KILL "${pids[$id]}" 2>/dev/null || true
    fi
    rm -f "$(pid_file "$id")"
    say "node $id stopped (pid ${pids[$id]})"
  done
  ((${#pids[@]} + left_running > 0)) || say "no node of $list runs"
}
