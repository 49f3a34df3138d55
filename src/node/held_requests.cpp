#include "node/held_requests.hpp"

#include <memory>
#include <utility>

#include "base/assert.hpp"
#include "base/overloaded.hpp"

namespace vesper::node {
namespace {

std::size_t command_size(const HeldRequests::Request& request) {
  const auto* write = std::get_if<ClientWrite>(&request);
  return write == nullptr ? 0 : write->command.size();
}

const Ticket& ticket_of(const HeldRequests::Request& request) {
  return std::visit([](const auto& one) -> const Ticket& { return one.ticket; }, request);
}

// Moves what a client counts from the beginning of its request.
void delay(HeldRequests::Request& request, Duration by) {
  const Overloaded move{
      [by](ClientWrite& write) {
        write.deadline = write.deadline + by;
        if (write.lock_wait == nullptr) return;
        auto wait = std::make_shared<LockWait>(*write.lock_wait);
        wait->until = wait->until + by;
        write.lock_wait = std::move(wait);
      },
      [by](ClientRead& read) {
        read.deadline = read.deadline + by;
        if (read.wait == nullptr) return;
        auto wait = std::make_shared<ChangeWait>(*read.wait);
        wait->until = wait->until + by;
        read.wait = std::move(wait);
      },
  };
  std::visit(move, request);
}

}  // namespace

void HeldRequests::hold_after(const Ticket& ticket) {
  Line& line = lines_[ticket.connection];
  VESPER_ASSERT(!line.awaited);
  line.awaited = ticket.request;
  ready_.erase(ticket.connection);
}

bool HeldRequests::add(Request&& request, Instant now) {
  const std::size_t bytes = command_size(request);
  if (size_ >= max_requests_ || (bytes_ > 0 && bytes_ + bytes > max_bytes_)) return false;
  const auto line = lines_.find(ticket_of(request).connection);
  VESPER_ASSERT(line != lines_.end());
  ++size_;
  bytes_ += bytes;
  line->second.requests.push_back({std::move(request), now});
  return true;
}

void HeldRequests::answered(const Ticket& ticket) {
  const auto line = lines_.find(ticket.connection);
  if (line == lines_.end() || line->second.awaited != ticket.request) return;
  line->second.awaited.reset();
  settle(line);
}

// Nothing holds the line any more, or for now.
void HeldRequests::settle(Lines::iterator line) {
  if (!line->second.requests.empty()) {
    ready_.insert(line->first);
    return;
  }
  ready_.erase(line->first);
  lines_.erase(line);
}

std::optional<HeldRequests::Request> HeldRequests::next(Instant now) {
  if (ready_.empty()) return std::nullopt;
  const auto line = lines_.find(*ready_.begin());
  Held held = std::move(line->second.requests.front());
  line->second.requests.pop_front();
  forget(held.request);
  settle(line);
  delay(held.request, now - held.since);
  return std::move(held.request);
}

void HeldRequests::forget(const Request& request) {
  --size_;
  bytes_ -= command_size(request);
}

void HeldRequests::leave(std::uint64_t connection) {
  const auto line = lines_.find(connection);
  if (line == lines_.end()) return;
  for (const Held& held : line->second.requests) forget(held.request);
  ready_.erase(connection);
  lines_.erase(line);
}

std::vector<Ticket> HeldRequests::clear() {
  std::vector<Ticket> tickets;
  for (const auto& [connection, line] : lines_)
    for (const Held& held : line.requests) tickets.push_back(ticket_of(held.request));
  lines_.clear();
  ready_.clear();
  size_ = bytes_ = 0;
  return tickets;
}

}  // namespace vesper::node
