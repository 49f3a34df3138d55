// Long polls: the parameters ?wait and ?since of reads, and the answer to one that nothing changed
// for. Every endpoint that reads keys shares them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "api/forward.hpp"
#include "base/time.hpp"
#include "kv/key_range.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct WaitParameters {
  std::optional<Duration> wait;
  std::optional<std::uint64_t> since;
};

// True for the parameters that read_wait_parameter() reads.
bool is_wait_parameter(std::string_view name);
std::optional<Problem> read_wait_parameter(const http::QueryParameter& parameter,
                                           WaitParameters& parameters);
// Checks them together, once all parameters have been read. Marks the exchange as one that ends
// when its client hangs up.
std::optional<Problem> check_wait(const WaitParameters& parameters, HttpExchange& exchange);
// What the node waits for; null without ?wait.
std::shared_ptr<const node::ChangeWait> change_wait(const Context& context,
                                                    const WaitParameters& parameters,
                                                    kv::KeyRange range);
// 304: nothing there has changed.
void render_unchanged(const node::ReadResult& read, Answer& answer);

}  // namespace vesper::api
