// Which rights a request needs. Judged where it takes effect: a write when its command is applied,
// a read when it is answered. A server that takes the request judges it before, to refuse it
// without an entry in the log; that changes no outcome, because the rules of a token never change.
//
// `write` shows revisions and whether a key exists, but no values.
#pragma once

#include <optional>

#include "kv/access.hpp"
#include "kv/command.hpp"

namespace vesper::kv {

// A right that a request needs and its token does not give.
struct Lack {
  Right right = Right::read;
  KeyRange range;  // the keys, or the names of locks; without meaning if !has_scope(right)
};

// These return the first right that is missing, or nothing.
std::optional<Lack> find_lack(const Token& token, Right right);
// Both branches count, whichever runs.
std::optional<Lack> find_lack(const Token& token, const Transaction& transaction);
// Of EndLease only in part: it also needs `write` for each key of the lease, which Store judges.
std::optional<Lack> find_lack(const Token& token, const Command& command);
// Of a command in its byte form, which must be valid.
std::optional<Lack> find_lack(const Token& token, const SharedBytes& command);
std::optional<Lack> find_lack(const Token& token, Right right, const KeyRange& range);
std::optional<Lack> find_lack_of_key(const Token& token, Right right, std::string_view key);

}  // namespace vesper::kv
