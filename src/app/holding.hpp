// What a client does to get a lock and to keep a lock or a lease: waits for its turn, and renews in
// time, over any endpoint. Both return to the caller when a signal arrives.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/call.hpp"
#include "app/http_client.hpp"
#include "app/live_endpoints.hpp"
#include "base/time.hpp"

namespace vesper::app {

// Asks for a lock or an election until it is granted. Every request of one place in the queue has
// the same Idempotency-Key, so that a broken connection does not lose the place.
class Acquisition {
 public:
  struct Plan {
    Call call;                     // without ?wait= and a key; its reply of 200 is the grant
    std::optional<Duration> wait;  // 0: not at all; empty: as long as it takes
    Duration patience;             // how long to try while no node serves the request
  };

  Acquisition(std::vector<HostPort> endpoints, Plan plan);

  // Runs until it is granted or refused. Returns nothing if `fd` became readable first: call it
  // again to go on. A destroyed acquisition leaves the queue two seconds later.
  std::optional<Outcome> run(int fd);
  // Before the grant: when the first of the requests was sent that it may have answered.
  Instant asked_at() const { return asked_at_; }
  // Those that were given, and the members that were learned.
  const std::vector<HostPort>& endpoints() const { return endpoints_.all(); }

 private:
  void begin_place();
  bool waits() const { return !plan_.wait || plan_.wait->ns != 0; }
  void ask();
  std::optional<Outcome> take_end();
  std::optional<Outcome> take_reply();
  std::optional<Outcome> failed();

  LiveEndpoints endpoints_;
  Plan plan_;
  Duration ask_for_;  // how long the next request stays open
  Instant wait_until_ = kNever;
  Instant give_up_at_;
  Instant asked_at_{};
  Instant attempt_at_{};      // when the present request was sent
  Instant next_attempt_{};    // when to send the next one
  std::size_t failures_ = 0;  // in a row
  bool was_connected_ = false;
  // At most one.
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  Outcome last_{.detail = "the timeout passed before any endpoint was asked"};
};

// Keeps something that lasts for `ttl` after each renewal. It counts as lost once `ttl` has passed
// since the last successful request was sent, because a request may have been on its way for any
// time.
class Renewal {
 public:
  enum class Event : std::uint8_t { renewed, lost, readable };

  // `call` renews. `granted_at`: when the request was sent that granted it.
  Renewal(std::vector<HostPort> endpoints, Call call, Duration ttl, Instant granted_at);

  // Waits, and renews whenever a third of `ttl` has passed, until one of the events.
  Event wait(int fd);
  // Makes the next call of wait() renew at once.
  void renew_now() { next_attempt_ = {}; }
  const std::string& why_lost() const { return why_lost_; }
  // Those that were given, and the members that were learned.
  const std::vector<HostPort>& endpoints() const { return endpoints_.all(); }

 private:
  void ask(Instant now);
  std::optional<Event> take_end();

  LiveEndpoints endpoints_;
  const Call call_;
  const Duration ttl_;
  Instant lost_at_;
  Instant next_attempt_;
  Instant sent_at_{};         // of the present request
  std::size_t failures_ = 0;  // in a row
  std::string last_failure_;
  std::string why_lost_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // at most one
};

}  // namespace vesper::app
