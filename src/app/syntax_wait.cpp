// The syntax of the commands about events, leases, locks and elections.
#include <fmt/core.h>

#include <algorithm>

#include "app/command_list.hpp"
#include "app/query.hpp"
#include "base/bytes.hpp"
#include "http/values.hpp"

namespace vesper::app {
namespace {

// ---- watch

constexpr const char* kInitial = "begin with the keys that exist now";

void define_watch(Syntax& syntax) {
  syntax.repeatable_argument("KEY", Need::optional);
  syntax.repeatable_option("--prefix", "PREFIX", "watch every key that begins with this");
  syntax.option("--lock", "NAME", "watch a lock");
  syntax.option("--election", "NAME", "watch an election");
  syntax.option("--since", "ID", "begin after this revision, or after the event 7.2");
  syntax.flag("--initial", kInitial);
  syntax.flag("--prev", "with -o json: add what each event replaced");
  syntax.option("--events", "put|delete", "leave the others out");
  syntax.program("--exec", "run this for each event, one at a time, in place of printing it");
  define_cluster(syntax);
}

// "7" or "7.2".
bool is_event_id(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (!http::parse_decimal(text.substr(0, dot))) return false;
  return dot == text.npos || http::parse_decimal(text.substr(dot + 1)).value_or(0) != 0;
}

Options read_watch(Arguments& arguments) {
  WatchOptions watch;
  watch.cluster = arguments.cluster();
  watch.since = arguments.optional_text("--since");
  watch.initial = arguments.has("--initial");
  watch.exec = arguments.syntax().program();
  if (watch.since && !is_event_id(*watch.since))
    arguments.expected("--since", "a revision such as 7, or the id of an event such as 7.2");
  if (watch.since && watch.initial) arguments.fail("--since and --initial exclude each other");
  Query query;
  constexpr std::pair<const char*, const char*> kFilters[] = {
      {"KEY", "key"}, {"--prefix", "prefix"}, {"--lock", "lock"}, {"--election", "election"}};
  for (const auto& [name, parameter] : kFilters)
    for (const std::string& text : arguments.syntax().texts(name)) query.add(parameter, text);
  if (arguments.has("--prev")) query.flag("prev");
  if (const auto events = arguments.choice("--events")) query.add("events", *events);
  watch.query = query.add("format", "ndjson").text();
  return watch;
}

// ---- lease

constexpr const char* kLeaseActions = "grant|renew|keep|get|end|list";

void define_lease(Syntax& syntax) {
  syntax.argument(kLeaseActions, Need::required);
  syntax.argument("TTL|ID", Need::optional);
  define_cluster(syntax);
}

LeaseOptions::Action read_lease_action(Arguments& arguments) {
  using Action = LeaseOptions::Action;
  constexpr std::pair<std::string_view, Action> kActions[] = {
      {"grant", Action::grant}, {"renew", Action::renew}, {"keep", Action::keep},
      {"get", Action::get},     {"end", Action::end},     {"list", Action::list}};
  const std::string word = arguments.text(kLeaseActions);
  for (const auto& [name, action] : kActions)
    if (word == name) return action;
  arguments.fail(
      fmt::format("\"{}\": expected grant, renew, keep, get, end or list", escaped(word)));
  return Action::list;
}

Options read_lease(Arguments& arguments) {
  LeaseOptions lease;
  lease.cluster = arguments.cluster();
  lease.action = read_lease_action(arguments);
  const bool has_argument = arguments.has("TTL|ID");
  if (lease.action == LeaseOptions::Action::grant) {
    if (!has_argument) arguments.fail("TTL is missing: how long the lease lasts, such as 10s");
    lease.ttl = arguments.duration("TTL|ID").value_or(Duration{});
  } else if (lease.action == LeaseOptions::Action::list) {
    if (has_argument) arguments.fail("list takes no argument");
  } else {
    if (!has_argument) arguments.fail("ID is missing (vesper lease list shows the leases)");
    lease.id = arguments.number("TTL|ID").value_or(0);
  }
  if (lease.action == LeaseOptions::Action::keep && lease.cluster.curl)
    arguments.fail("--curl shows one request: it does not go with keep");
  return lease;
}

// ---- lock and elect

constexpr Duration kLeastTtl = milliseconds(100);  // of a lock that this process renews

void define_holding(Syntax& syntax) {
  syntax.option("--ttl", "DURATION", "how long it is held without a renewal (default 15s)");
  syntax.option("--wait", "DURATION",
                "how long to wait for it: 60s; 0: not at all (default: as long as it takes)");
  syntax.option("--renew", "TOKEN", "renew it for the holder of this token");
  syntax.option("--release", "TOKEN", "release it for the holder of this token");
}

void define_lock(Syntax& syntax) {
  syntax.argument("NAME", Need::optional);
  define_holding(syntax);
  syntax.flag("--list", "list the locks that are held; NAME is a prefix");
  syntax.program("--", {});
  define_cluster(syntax);
}

void define_elect(Syntax& syntax) {
  syntax.argument("NAME", Need::optional);
  syntax.argument("VALUE", Need::optional);
  define_holding(syntax);
  syntax.flag("--list", "list the elections that have a leader; NAME is a prefix");
  syntax.program("--", {});
  define_cluster(syntax);
}

std::optional<Duration> read_wait(Arguments& arguments) {
  const std::string text = arguments.text("--wait");
  if (text == "0" || text == "0s" || text == "0ms") return Duration{};
  return arguments.duration("--wait");
}

LockOptions::Action read_lock_action(Arguments& arguments) {
  using Action = LockOptions::Action;
  const bool renews = arguments.has("--renew"), releases = arguments.has("--release");
  const bool lists = arguments.has("--list");
  if (renews + releases + lists > 1)
    arguments.fail("--renew, --release and --list exclude each other");
  if (!renews && !releases && !lists) return Action::acquire;
  for (const char* option : {"--ttl", "--wait"})
    if (arguments.has(option)) arguments.fail(fmt::format("{} is for acquiring only", option));
  if (!arguments.syntax().program().empty())
    arguments.fail("a command runs only with a lock that is acquired");
  return renews ? Action::renew : releases ? Action::release : Action::list;
}

LockOptions read_holding(Arguments& arguments, LockOptions::Kind kind) {
  LockOptions lock;
  lock.cluster = arguments.cluster();
  lock.kind = kind;
  lock.action = read_lock_action(arguments);
  lock.name = arguments.text("NAME");
  lock.value = arguments.optional_text("VALUE");
  if (const auto ttl = arguments.duration("--ttl")) lock.ttl = *ttl;
  lock.wait = read_wait(arguments);
  for (const char* option : {"--renew", "--release"})
    if (const auto token = arguments.number(option)) lock.token = *token;
  lock.program = arguments.syntax().program();
  const bool acquires = lock.action == LockOptions::Action::acquire;
  if (lock.action != LockOptions::Action::list && !arguments.has("NAME"))
    arguments.fail("NAME is missing");
  if (lock.action != LockOptions::Action::list &&
      (lock.name.empty() || lock.name.size() > json::kMaxKey))
    arguments.fail(
        fmt::format("the name has {} bytes, expected 1 to {}", lock.name.size(), json::kMaxKey));
  if (lock.cluster.curl && !lock.program.empty())
    arguments.fail("--curl shows one request: it does not go with a command to run");
  if (!lock.program.empty() && lock.ttl < kLeastTtl)
    arguments.expected("--ttl", "at least 100ms, because the command has to renew it in time");
  if (kind == LockOptions::Kind::election && acquires && !lock.value)
    arguments.fail("VALUE is missing: what others see of the leader, such as its address");
  if (lock.value && !acquires && lock.action != LockOptions::Action::renew)
    arguments.fail("VALUE goes with acquiring and with --renew only");
  return lock;
}

Options read_lock(Arguments& arguments) {
  return read_holding(arguments, LockOptions::Kind::lock);
}

Options read_elect(Arguments& arguments) {
  return read_holding(arguments, LockOptions::Kind::election);
}

constexpr Command kWaitingCommands[] = {
    {"watch", define_watch, read_watch},
    {"lease", define_lease, read_lease},
    {"lock", define_lock, read_lock},
    {"elect", define_elect, read_elect},
};

}  // namespace

std::span<const Command> wait_commands() {
  return kWaitingCommands;
}

}  // namespace vesper::app
