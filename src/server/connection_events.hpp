// Between connections and the listener that owns them: what every connection is made with, and what
// it reports.
#pragma once

#include <memory>
#include <string_view>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "http/message.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "server/budget.hpp"
#include "server/options.hpp"

namespace vesper::server {

class Connection;

class ConnectionEvents {
 public:
  // flush() is due at the end of the turn. Reported once until then.
  virtual void wants_flush(Connection& connection) = 0;
  // It has an answer and waits until the budget has room for output.
  virtual void starved(const Connection& connection) = 0;
  // Its client is a peer. `head` asks for the upgrade, `rest` came after it.
  virtual void is_peer(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
                       std::string_view rest) = 0;
  // It is closed or handed over. It may be destroyed when none of its functions is on the stack.
  virtual void ended(Connection& connection) = 0;

 protected:
  ~ConnectionEvents() = default;
};

// The same for all connections of a listener. It outlives them.
struct ConnectionContext {
  const io::Loop& loop;
  const Options& options;
  api::Context& api;
  Budget& budget;
  ConnectionEvents& events;
  api::Answer& scratch;  // of the answer that is being written
};

}  // namespace vesper::server
