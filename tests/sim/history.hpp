// Judges what clients were told: a model of the store of its own, fed with the one order in which
// operations were committed. It shares no code with the store.
//
// Why that is linearizability: every answer agrees with the model at one point of that one order
// (of a write its own point, of a read the revision that it names), and no point lies before one
// that had been answered when the operation was invoked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vesper::sim {

using Wrong = std::optional<std::string>;  // what is, or nothing

// If-Match or If-None-Match: any, or one of these revisions.
struct Expectation {
  bool any = false;
  std::vector<std::uint64_t> revisions;
};

struct Outcome {
  enum class Kind { put, removed, absent, failed } kind = Kind::absent;
  std::uint64_t revision = 0, create_revision = 0, version = 0, current_revision = 0;
  bool operator==(const Outcome&) const = default;
};

struct Seen {
  bool present = false;
  std::string value;
  bool json = false;
  std::uint64_t revision = 0, create_revision = 0, version = 0;
  bool operator==(const Seen&) const = default;
};

struct Operation {
  enum class Kind { put, remove, get } kind = Kind::get;
  std::string key, value;
  bool json = false;
  std::optional<Expectation> if_match, if_none_match;
  std::uint64_t connection = 0, request = 0;
  std::int64_t invoked = 0;  // ns, for the message
};

class History {
 public:
  // Of an operation, in the order of invocation. `command`: a hash of a write's bytes, by which it
  // is known in the log; unique.
  std::size_t invoke(Operation operation, std::uint64_t command);

  const Operation& operation(std::size_t i) const { return operations_[i].what; }

  // How it ended. Once at most for each.
  Wrong wrote(std::size_t operation, const Outcome& outcome);
  Wrong read(std::size_t operation, const Seen& seen, std::uint64_t revision);
  Wrong refused(std::size_t operation);  // certainly not applied
  void unknown(std::size_t operation);

  // The next command of the committed log.
  Wrong committed(std::uint64_t command);

  // At the end: one connection's operations took effect in their order.
  Wrong judge_connections() const;

  // The model's state after all that is committed.
  std::uint64_t revision() const { return revision_; }
  std::size_t keys() const { return present_; }
  Seen at_end(std::string_view key) const;

 private:
  enum class End { open, ok, refused, unknown };
  struct Tracked {
    Operation what;
    End end = End::open;
    bool applied = false;
    Outcome outcome;          // of the model, when applied
    std::uint64_t floor = 0;  // the highest revision that anybody had been told at invocation
    std::uint64_t seen = 0;   // when ok: the revision at its point
  };
  struct Version {
    std::uint64_t at = 0;  // the store's revision
    Seen seen;
  };

  Outcome apply(const Operation& operation);
  Wrong sees(Tracked& tracked, std::uint64_t revision, bool effect);
  static bool names(const Expectation& expectation, const Seen& seen);
  static std::string name(const Tracked& tracked);

  std::vector<Tracked> operations_;
  std::unordered_map<std::uint64_t, std::size_t> by_command_;
  std::map<std::string, std::vector<Version>, std::less<>> versions_;
  std::uint64_t revision_ = 1;
  std::size_t present_ = 0;
  std::uint64_t floor_ = 1;
};

}  // namespace vesper::sim
