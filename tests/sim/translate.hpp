// Between the model's words (model.hpp) and those of the store: requests to the store, and its
// results back as texts.
#pragma once

#include <string>

#include "node/ports.hpp"
#include "sim/history.hpp"

namespace vesper::sim {

std::optional<kv::Identity> identity_of(const std::optional<Who>& who);
// The bytes of a write.
std::string command_of(const Operation& operation);
node::ReadQuery query_of(const Operation& operation);

kv::LockName lock_of(const LockId& lock);

Seen seen_of(const kv::Version* version);
Holdings holdings_of(const kv::Store& store);
Outcome outcome_of(const Operation& asked, const kv::WriteResult& result);
// The answer to a read of anything but the present value of one key.
std::string text_of(const node::ReadContent& content, std::string_view key);
// The keys and values of a part of a range.
RangeText range_text_of(const kv::RangeResult& range);

}  // namespace vesper::sim
