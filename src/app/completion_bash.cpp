// The completion script for bash 3.2 and later. It does not need the package bash-completion.
#include <fmt/core.h>

#include "app/command_list.hpp"
#include "app/completion.hpp"

namespace vesper::app {
namespace {

constexpr std::string_view kBashHead =
    R"(# bash completion for vesper, printed by: vesper completion bash

# _vesper_syntax COMMAND: sets `flags` and `arguments` to what the command takes. "=..." follows a
# flag that takes a value.
_vesper_syntax() {
  case $1 in
)";

constexpr std::string_view kBashTail = R"bash(    *) flags='' arguments='' ;;
  esac
}

# _vesper_kind FLAG: prints what the flag's value is, and fails if it takes none.
_vesper_kind() {
  local flag
  for flag in $flags; do
    if [[ $flag == "$1="* ]]; then
      printf '%s' "${flag#*=}"
      return 0
    fi
  done
  return 1
}

# _vesper_keys TEXT: the keys of the cluster that begin with TEXT, up to the next slash.
_vesper_keys() {
  local key keys=()
  while IFS= read -r key; do
    [[ $key == *[[:cntrl:]]* ]] || keys+=("$key")
  done < <("${program/#\~/$HOME}" list ${endpoints:+--endpoints "$endpoints"} --keys \
    --separator / --limit 200 --timeout 500ms -o raw -- "$1" 2>/dev/null)
  for key in "${keys[@]}"; do COMPREPLY+=("$(printf '%q' "$key")"); done
  if [[ ${#keys[@]} -eq 1 && ${keys[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}

# _vesper_values KIND TEXT
_vesper_values() {
  case $1 in
    KEY | PREFIX) _vesper_keys "$2" ;;
    FILE | '<ip-list-file>')
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$2")
      ;;
    DIR)
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$2")
      ;;
    *[A-Z\<]*) ;;
    *) _vesper_words "${1//|/ }" "$2" ;;
  esac
}

# _vesper_words "WORD..." TEXT
_vesper_words() {
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$1" -- "$2")
}

# Joins what bash has split at colons and equals signs again: sets `words`, the last of which is the
# one to complete.
_vesper_join() {
  local line=${COMP_LINE:0:COMP_POINT} i
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    if [[ $i -eq 0 || $line == [[:space:]]* || -z $line ]]; then
      line=${line#"${line%%[![:space:]]*}"}
      words+=("")
    fi
    words[${#words[@]} - 1]+=${COMP_WORDS[i]}
    line=${line#"${COMP_WORDS[i]}"}
  done
}

_vesper() {
  local words word cur flags arguments command='' pending='' endpoints='' program i kind
  local count=0 flags_ended=''
  COMPREPLY=()
  _vesper_join
  program=${words[0]}
  cur=${words[${#words[@]} - 1]}
  cur=${cur#[\"\']}
  cur=${cur//\\/}
  _vesper_syntax ''
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    word=${words[i]}
    if [[ -n $pending ]]; then
      [[ $pending != --endpoints ]] || endpoints=$word
      pending=''
    elif [[ -z $flags_ended && $word == -- ]]; then
      flags_ended=yes
    elif [[ -z $flags_ended && $word == -?* ]]; then
      [[ $word != --endpoints=* ]] || endpoints=${word#*=}
      if _vesper_kind "$word" >/dev/null; then pending=$word; fi
    elif [[ -z $command ]]; then
      command=$word
      _vesper_syntax "$command"
    else
      count=$((count + 1))
    fi
  done
  if [[ -n $pending ]]; then
    kind=$(_vesper_kind "$pending")
    _vesper_values "$kind" "$cur"
  elif [[ -z $flags_ended && $cur == --*=* ]]; then
    kind=$(_vesper_kind "${cur%%=*}") && _vesper_values "$kind" "${cur#*=}"
    cur=${cur#*=}
  elif [[ -z $flags_ended && $cur == -* ]]; then
    word=''
    for kind in $flags; do word+="${kind%%=*} "; done
    _vesper_words "$word" "$cur"
  elif [[ -z $command ]]; then
    _vesper_words "$_vesper_commands" "$cur"
  else
    # shellcheck disable=SC2206
    words=($arguments)
    _vesper_values "${words[count]:-N}" "$cur"
  fi
  # bash replaces only what follows the last character at which it splits words.
  word=${cur%"${cur##*[:=]}"}
  if [[ -n $word && $COMP_WORDBREAKS == *:* ]]; then
    word=$(printf '%q' "$word")
    for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do COMPREPLY[i]=${COMPREPLY[i]#"$word"}; done
  fi
}

complete -F _vesper vesper
)bash";

std::string flags_of(const SyntaxDescription& syntax) {
  std::string out;
  for (const OptionDescription& option : syntax.options)
    for (const std::string& name : option.names) {
      if (!out.empty()) out += ' ';
      out += name;
      if (!option.value.empty()) out += "=" + option.value;
    }
  return out;
}

std::string arguments_of(const SyntaxDescription& syntax) {
  std::string out;
  for (const ArgumentDescription& argument : syntax.arguments)
    out += (out.empty() ? "" : " ") + argument.name;
  return out;
}

}  // namespace

std::string bash_completion() {
  std::string out(kBashHead);
  std::string names;
  // Before the command there may be the flags that most commands have.
  out += fmt::format("    '') flags='{} --version' arguments='' ;;\n",
                     flags_of(describe(*find_command("compact"))));
  for (const CommandGroup& group : command_groups()) {
    for (const Command& command : group.commands) {
      if (command.listing == Command::Listing::hidden) continue;
      if (!names.empty()) names += ' ';
      names += command.name;
      const SyntaxDescription syntax = describe(command);
      out += fmt::format("    {})\n      flags='{}'\n      arguments='{}'\n      ;;\n",
                         command.name, flags_of(syntax), arguments_of(syntax));
    }
  }
  out += kBashTail;
  const std::string_view last = "\ncomplete -F _vesper vesper\n";
  out.insert(out.size() - last.size(), fmt::format("\n_vesper_commands='{}'\n", names));
  return out;
}

}  // namespace vesper::app
