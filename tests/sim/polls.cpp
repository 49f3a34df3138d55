#include "sim/polls.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/bytes.hpp"

namespace vesper::sim {

std::string PollCheck::name() const {
  return fmt::format("a long poll of '{}' to '{}' since {}{}", escaped(asked_.span.start),
                     escaped(asked_.span.end), since_, asked_.since ? "" : " (not named)");
}

void PollCheck::begin_turn(const Server& server) {
  if (std::exchange(taken_, true)) return;
  began_ = server;
  since_ = asked_.since.value_or(server.revision);
  compacted_ = since_ + 1 < server.oldest;
}

std::uint64_t PollCheck::first_change(const Model& model) {
  const auto& events = model.events();
  const auto is_change = [&](const Model::Event& event) {
    return event.revision > since_ && event.space == Space::keys && asked_.span.contains(event.key);
  };
  while (next_ < events.size() && !is_change(events[next_])) ++next_;
  return next_ < events.size() ? events[next_].revision : UINT64_MAX;
}

Violation PollCheck::end_turn(const Model& model, const Server& server, std::int64_t now) {
  if (!taken_) return std::nullopt;
  if (turns_ > asked_.turns)
    return fmt::format("V5: {} was due at {:.3f} ms, and has no answer at {:.3f} ms", name(),
                       static_cast<double>(*due_at_) / 1e6, static_cast<double>(now) / 1e6);
  installed_ |= server.installed != began_.installed;
  is_over_ |= now >= asked_.until;
  if (due_at_) {
    if (now >= *due_at_ + asked_.patience) ++turns_;
  } else if (is_over_ || compacted_ || first_change(model) <= server.revision) {
    due_at_ = now;
  }
  return std::nullopt;
}

Violation PollCheck::answered(const Model& model, Answer answer, std::uint64_t revision) {
  const std::uint64_t change = first_change(model);
  const bool has_changed = change <= revision;
  came_late_ = change <= began_.revision;
  if (answer == Answer::state) {
    if (has_changed || compacted_ || installed_) return std::nullopt;
    return fmt::format("V4: {} is answered with the state at {}, but nothing has changed", name(),
                       revision);
  }
  if (has_changed)
    return fmt::format("V4: {} is told at revision {} that nothing has changed, but '{}' has at {}",
                       name(), revision, escaped(model.events()[next_].key), change);
  if (compacted_)
    return fmt::format("V4: {} is told that nothing has changed, but the history before {} is gone",
                       name(), began_.oldest);
  if (!is_over_) return fmt::format("V4: {} is told before its wait is over", name());
  return std::nullopt;
}

}  // namespace vesper::sim
