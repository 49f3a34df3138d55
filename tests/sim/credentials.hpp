// The tokens that the clients of a world know: those that there are, and some that are gone.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/prng.hpp"
#include "sim/history.hpp"

namespace vesper::sim {

class Credentials {
 public:
  // The state of the model after an entry.
  void learn(const Holdings& now);
  // For a request of a client that needs no success: usually root, else any other, or none.
  std::optional<Who> draw(Prng& random) const;
  // The same for an administrative act, and whether no leader may carry it out any more, unless
  // clients need no token for a while.
  struct Act {
    std::optional<Who> who;
    bool is_forbidden = false;
    std::uint64_t opened = 0;  // opened() then
  };
  Act draw_act(Prng& random, const Holdings& now) const;
  // Entries after which clients needed no token.
  std::uint64_t opened() const { return opened_; }
  // A change of the tokens. `secret`: used for nothing else.
  Operation invent(Prng& random, const Model& model, bool may_disable, std::uint64_t secret) const;
  // Nothing: no one has made it yet.
  const std::optional<Who>& root() const { return root_; }

 private:
  std::optional<Who> root_;
  std::deque<Who> known_;     // the newest ones
  std::uint64_t newest_ = 0;  // its id
  std::uint64_t opened_ = 0;
};

}  // namespace vesper::sim
