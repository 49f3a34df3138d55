// A request that is carried out while its body arrives, and whose answer may begin before the body
// has ended. The connection reads no more of the body than the request can take, so a slow store or
// a slow reader of the answer throttles the sender.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "api/body_stream.hpp"
#include "api/problem.hpp"
#include "node/ports.hpp"

namespace vesper::api {

// The exchange owns it. It sets the outcome of the exchange once the head of the answer is known:
// a Problem, or Local. In the latter case the endpoint renders answer() as the stream.
class RequestStream {
 public:
  virtual ~RequestStream() = default;

  // Takes bytes of the body, in order, and returns how many. Takes fewer than it got only if
  // has_room() no longer holds, or if `work` is used up. Lowers `work` by what it did: about one
  // unit for each microsecond.
  virtual std::size_t take(std::string_view bytes, std::size_t& work) = 0;
  // All of the body was taken. Requires has_room(), unless is_over().
  virtual void end() = 0;
  // The rest of the body does not come. The answer reports what was done so far, then this problem.
  // Does nothing if the body has ended or is_over().
  virtual void abort(Problem problem) = 0;
  // The node's reply to the write that was posted with this Ticket::part.
  virtual void on_reply(std::uint32_t part, node::ClientReply reply) = 0;

  // False: take() has to wait, for a reply of the node or until answer() was asked.
  virtual bool has_room() const = 0;
  // No more of the body is taken, because an error was found.
  virtual bool is_over() const = 0;
  // True while there is something left to post. The connection's next request, which must not take
  // effect before that, waits.
  virtual bool has_unposted() const = 0;
  // True while the node has a write of this request.
  virtual bool is_posted() const = 0;
  // The memory that it holds for the body, in bytes.
  virtual std::size_t held() const = 0;

  // The body of the answer. It does not own this object.
  virtual std::unique_ptr<BodyStream> answer() = 0;
};

}  // namespace vesper::api
