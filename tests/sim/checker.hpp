// Judges a run from the outside: what is committed where, and what clients were told. It shares no
// code with what it checks, but for reading an entry's fields.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node/ports.hpp"

namespace vesper::sim {

// What a client asked, and how that ended.
struct Operation {
  enum class Kind { put, remove, get, create } kind = Kind::get;  // create: put if absent
  std::string key, value;
  std::uint64_t connection = 0, request = 0;
  std::string command;  // its bytes, unique to the operation; empty for get
  Instant invoked;
  std::optional<Instant> answered;
  enum class End { open, ok, refused, unknown } end = End::open;
  kv::WriteResult written;
  node::ReadResult read;
};

class Checker {
 public:
  // E1: at most one leader a term.
  std::optional<std::string> leads(raft::ServerId id, raft::Term term);
  // L7, L8: one entry per committed index, ever, everywhere.
  std::optional<std::string> committed(raft::ServerId id, const raft::Entry& entry);
  // C: equal state at equal index.
  std::optional<std::string> applied(raft::ServerId id, raft::Index index, Id128 digest);

  std::size_t begin(Operation operation);
  Operation& operation(std::size_t i) { return operations_[i]; }
  const std::vector<Operation>& operations() const { return operations_; }

  // At the end: replays the committed log in a model of its own and compares every answer with it;
  // what was acknowledged is there, what was refused is not, nothing is there twice, answers are
  // in real-time order (linearizability, by the one order of revisions), and requests of one
  // connection took effect in their order.
  std::optional<std::string> judge() const;

 private:
  static std::uint64_t seen(const Operation& operation);
  static std::optional<std::string> judge_order(std::vector<const Operation*> answered);
  static std::optional<std::string> judge_lanes(std::vector<const Operation*> answered);
  struct Committed {
    raft::Term term;
    std::string bytes;
    raft::EntryType type;
    std::string payload;
  };
  std::map<raft::Term, raft::ServerId> leaders_;
  std::vector<Committed> log_;  // position i: index i + 1
  std::map<raft::Index, Id128> digests_;
  std::vector<Operation> operations_;
  std::map<std::string, std::size_t> by_command_;
};

}  // namespace vesper::sim
