// The interface between client connections and the listener that owns them: what every connection
// shares, and what it reports.
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
  // The connection needs a flush() at the end of the turn. Reported at most once until then.
  virtual void wants_flush(Connection& connection) = 0;
  // The connection has an answer, but the output budget has no room.
  virtual void starved(const Connection& connection) = 0;
  // The connection comes from a peer. `head` asks for the upgrade; `rest` are the bytes after it.
  virtual void is_peer(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
                       std::string_view rest) = 0;
  // The handshake of TLS has failed.
  virtual void handshake_failed(const io::Stream& stream) = 0;
  // The connection is closed or handed over. Destroy it only when none of its functions is on the
  // stack.
  virtual void ended(Connection& connection) = 0;

 protected:
  ~ConnectionEvents() = default;
};

// Shared by all connections of a listener. Must outlive them.
struct ConnectionContext {
  const io::Loop& loop;
  const Options& options;
  api::Context& api;
  Budget& budget;
  ConnectionEvents& events;
  api::Answer& scratch;  // for the answer that is being written
};

}  // namespace vesper::server
