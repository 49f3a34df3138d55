#include "server/supervisor_link.hpp"

#include <fmt/core.h>

#include <string>
#include <utility>

#include "base/log.hpp"
#include "json/document.hpp"
#include "json/writer.hpp"

namespace vesper::server {
namespace {

constexpr Duration kSupervisorPatience = seconds(5);

api::Problem late_supervisor() {
  return {.status = 503,
          .code = "timeout",
          .detail = "the supervisor of this node has not answered in time"};
}

}  // namespace

SupervisorLink::SupervisorLink(io::Loop& loop, int fd, ClientListener& listener, ChaosOrders orders)
    : loop_(loop),
      listener_(listener),
      orders_(orders),
      timer_(loop, io::Delegate<void>::to<&SupervisorLink::on_timer>(this)) {
  if (fd >= 0)
    socket_.emplace(loop, fd,
                    io::Delegate<void, std::string_view>::to<&SupervisorLink::on_line>(this),
                    io::Delegate<void>::to<&SupervisorLink::on_ended>(this));
}

bool SupervisorLink::ask(const node::Ticket& ticket, std::string_view request) {
  if (!socket_) return false;
  const std::uint64_t number = last_number_ + 1;
  if (!socket_->send(fmt::format("{{\"ask\":{},\"request\":{}}}", number, request))) return false;
  last_number_ = number;
  asked_[number] = {ticket, loop_.now() + kSupervisorPatience};
  if (!timer_.active()) timer_.start(kSupervisorPatience);
  return true;
}

void SupervisorLink::on_timer() {
  while (!asked_.empty() && asked_.begin()->second.until <= loop_.now())
    answer(asked_.begin()->first, late_supervisor());
  if (!asked_.empty()) timer_.start(asked_.begin()->second.until - loop_.now());
}

void SupervisorLink::on_ended() {
  log::info("the supervisor of this node is gone -> /chaos answers 503");
  while (!asked_.empty()) answer(asked_.begin()->first, api::no_supervisor());
}

void SupervisorLink::answer(std::uint64_t number, api::Outcome outcome) {
  const auto at = asked_.find(number);
  if (at == asked_.end()) return;
  const node::Ticket ticket = at->second.ticket;
  asked_.erase(at);
  listener_.answer(ticket, std::move(outcome));
}

// The supervisor is trusted: it has started this process.
void SupervisorLink::on_line(std::string_view line) {
  json::Document document;
  if (document.parse(line)) return;
  const json::Value root = document.root();
  if (const auto number = root.find("answer").uint64()) {
    if (const auto why = root.find("refused").string())
      return answer(
          *number,
          api::Problem{.status = 409, .code = "not_possible", .detail = std::string(*why)});
    return answer(*number, api::SuppliedBody{std::string(root.find("body").string().value_or(""))});
  }
  const auto order = root.find("order").uint64();
  if (!order) return;
  if (root.find("campaign").exists()) {
    orders_.campaign();
  } else {
    std::vector<raft::NodeId> nodes;
    for (const auto& element : root.find("cut"))
      if (const auto node = element.value.uint64())
        nodes.push_back(raft::NodeId(static_cast<std::uint32_t>(*node)));
    orders_.cut(nodes);
    const std::uint64_t ms = root.find("slow_disk_ms").uint64().value_or(0);
    orders_.slow_disk(milliseconds(static_cast<std::int64_t>(ms)));
  }
  socket_->send(fmt::format("{{\"carried_out\":{}}}", *order));
}

}  // namespace vesper::server
