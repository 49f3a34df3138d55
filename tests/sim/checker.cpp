#include "sim/checker.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {

std::optional<std::string> Checker::leads(raft::ServerId id, raft::Term term) {
  const auto [it, fresh] = leaders_.emplace(term, id);
  if (fresh || it->second == id) return std::nullopt;
  return fmt::format("E1: servers {} and {} both lead term {}", it->second.value, id.value,
                     term.value);
}

std::optional<std::string> Checker::committed(raft::ServerId id, const raft::Entry& entry) {
  const std::size_t position = entry.index.value - 1;
  if (position < log_.size()) {
    if (log_[position].bytes == entry.bytes.view()) return std::nullopt;
    return fmt::format("L8: server {} has another entry committed at {} (term {}, was {})",
                       id.value, entry.index.value, entry.term.value, log_[position].term.value);
  }
  if (position != log_.size())
    return fmt::format("server {} skips to committed index {}", id.value, entry.index.value);
  log_.push_back({entry.term, std::string(entry.bytes.view()), entry.type,
                  std::string(entry.payload().view())});
  return std::nullopt;
}

std::optional<std::string> Checker::applied(raft::ServerId id, raft::Index index, Id128 digest) {
  const auto [it, fresh] = digests_.emplace(index, digest);
  if (fresh || it->second == digest) return std::nullopt;
  return fmt::format("server {} has another state at index {}", id.value, index.value);
}

std::size_t Checker::begin(Operation operation) {
  if (!operation.command.empty()) by_command_.emplace(operation.command, operations_.size());
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

namespace {

struct Version {
  std::uint64_t revision = 0;
  bool present = false;
  std::string value;
};

// The latest version of a key at a revision of the store.
const Version* version_at(const std::vector<Version>& versions, std::uint64_t revision) {
  const Version* found = nullptr;
  for (const Version& version : versions)
    if (version.revision <= revision) found = &version;
  return found;
}

std::string name(const Operation& operation) {
  static constexpr const char* kNames[] = {"put", "delete", "get", "create"};
  return fmt::format("{} {} '{}' at {}", kNames[static_cast<int>(operation.kind)], operation.key,
                     operation.value, operation.invoked.ns);
}

}  // namespace

std::optional<std::string> Checker::judge() const {
  std::map<std::string, std::vector<Version>> keys;
  std::vector<std::optional<std::uint64_t>> applied_at(operations_.size());
  std::uint64_t revision = 1;
  for (std::size_t i = 0; i < log_.size(); ++i) {
    if (log_[i].type != raft::EntryType::command) continue;
    const auto it = by_command_.find(log_[i].payload);
    if (it == by_command_.end()) return fmt::format("index {} was never asked for", i + 1);
    const Operation& operation = operations_[it->second];
    if (applied_at[it->second]) return fmt::format("applied twice: {}", name(operation));
    std::vector<Version>& versions = keys[operation.key];
    const bool present = !versions.empty() && versions.back().present;
    const bool effect = operation.kind == Operation::Kind::put ||
                        (operation.kind == Operation::Kind::remove && present) ||
                        (operation.kind == Operation::Kind::create && !present);
    if (effect)
      versions.push_back({++revision, operation.kind != Operation::Kind::remove, operation.value});
    applied_at[it->second] = revision;
    if (operation.end == Operation::End::refused)
      return fmt::format("refused but applied: {}", name(operation));
    if (operation.end == Operation::End::ok && operation.written.revision != revision)
      return fmt::format("revision {} told, {} is right: {}", operation.written.revision, revision,
                         name(operation));
  }
  // In the order of answers, what each request saw never goes back in real time.
  std::vector<const Operation*> answered;
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    if (operation.end != Operation::End::ok) continue;
    answered.push_back(&operation);
    if (operation.kind != Operation::Kind::get) {
      if (!applied_at[i]) return fmt::format("acknowledged but lost: {}", name(operation));
      continue;
    }
    const auto it = keys.find(operation.key);
    const Version* version =
        it == keys.end() ? nullptr : version_at(it->second, operation.read.revision);
    const bool present = version != nullptr && version->present;
    if (present != operation.read.item.has_value())
      return fmt::format("wrong presence at revision {}: {}", operation.read.revision,
                         name(operation));
    if (present && operation.read.item->value.view() != version->value)
      return fmt::format("wrong value at revision {}: {}", operation.read.revision,
                         name(operation));
  }
  if (auto wrong = judge_order(answered)) return wrong;
  return judge_lanes(std::move(answered));
}

// The store's revision at the instant at which an answered request took effect.
std::uint64_t Checker::seen(const Operation& operation) {
  return operation.kind == Operation::Kind::get ? operation.read.revision
                                                : operation.written.revision;
}

std::optional<std::string> Checker::judge_order(std::vector<const Operation*> answered) {
  std::vector<const Operation*> by_answer = answered;
  std::sort(by_answer.begin(), by_answer.end(),
            [](const auto* a, const auto* b) { return *a->answered < *b->answered; });
  std::sort(answered.begin(), answered.end(),
            [](const auto* a, const auto* b) { return a->invoked < b->invoked; });
  std::uint64_t floor = 0;
  std::size_t done = 0;
  for (const Operation* operation : answered) {
    while (done < by_answer.size() && *by_answer[done]->answered < operation->invoked)
      floor = std::max(floor, seen(*by_answer[done++]));
    if (seen(*operation) < floor)
      return fmt::format("stale: saw revision {} after {} had been answered: {}", seen(*operation),
                         floor, name(*operation));
  }
  return std::nullopt;
}

std::optional<std::string> Checker::judge_lanes(std::vector<const Operation*> answered) {
  std::sort(answered.begin(), answered.end(), [](const auto* a, const auto* b) {
    return std::pair{a->connection, a->request} < std::pair{b->connection, b->request};
  });
  for (std::size_t i = 1; i < answered.size(); ++i) {
    const Operation& before = *answered[i - 1];
    const Operation& after = *answered[i];
    if (before.connection == after.connection && seen(after) < seen(before))
      return fmt::format("order: {} took effect before {}, which its connection sent first",
                         name(after), name(before));
  }
  return std::nullopt;
}

}  // namespace vesper::sim
