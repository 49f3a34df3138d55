// The parts of answers that several endpoints share: versions of keys, the head of a read, and the
// problems of writes that were refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/forward.hpp"
#include "json/writer.hpp"
#include "kv/log_time.hpp"
#include "kv/operation.hpp"
#include "kv/version.hpp"
#include "kv/write_result.hpp"
#include "node/ports.hpp"

namespace vesper::api {

// When a result was decided: the store's revision then, and the cluster's clock.
struct Moment {
  std::uint64_t revision = 0;
  kv::LogTime time;
};

// What is left until the deadline, in milliseconds, rounded up. At least 1, because something whose
// deadline has passed exists until it is expired.
std::uint64_t ttl_ms_left(kv::LogTime deadline, kv::LogTime now);

// Appends {"key","value","json","revision","create_revision","version","lease","ttl_ms"}. "json" is
// there only if the value is marked as JSON, "lease" or "ttl_ms" only if the key has one.
// Content::keys leaves out value and mark. Requires that the version is not a tombstone. `now` is
// the instant from which "ttl_ms" counts.
void append_version(json::Writer& json, const kv::Version& version, kv::Content content,
                    kv::LogTime now);
// Appends the same members, except the key, to an open object.
void append_version_members(json::Writer& json, const kv::Version& version, kv::Content content,
                            kv::LogTime now);
// Appends the members after the value.
void append_version_fields(json::Writer& json, const kv::Version& version, kv::Content content,
                           kv::LogTime now);
// Appends the members "prefixes":[...], and "prefixes_base64":[...] if some are not UTF-8.
void append_prefixes(json::Writer& json, const std::vector<std::string>& prefixes);

// Appends the result of a write of one key: {"key","value","json","revision","create_revision",
// "version","prev"}. "value" and "json" are there only if the write computed the value, "prev" only
// if it was asked for and there was one.
void append_put(json::Writer& json, const kv::PutResult& put, std::string_view key,
                kv::LogTime now);
// Appends the result of a delete: {"deleted","revision","prev"}. Of a single key, `prev` is an
// object, and missing if the key did not exist or if it was not asked for. Of a range it is an
// array.
enum class PrevForm : std::uint8_t { object, array };
void append_delete(json::Writer& json, const kv::DeleteResult& removed, const Moment& moment,
                   PrevForm form);

// Fills in Vesper-Revision, Vesper-Consistency and Vesper-Staleness-Ms.
void render_read_head(const node::ReadResult& read, Answer& answer);

// The problem of a write that is not `done`. `parameter` is the parameter that named a revision,
// for revisions that cannot be read. An operation of a transaction is named in `field` instead.
Problem problem_of(const kv::WriteResult& write, std::string_view parameter = "revision");
// The path of an operation or compare in the JSON of a transaction: "then[3].txn.else[0]".
std::string path_of(const std::vector<kv::WriteResult::Step>& path);

// The problem of a read at a revision that cannot be read. `parameter` named the revision.
Problem unreadable(const node::RevisionUnreadable& unreadable, std::string_view parameter);

Problem precondition_failed(std::uint64_t current_revision, std::uint64_t revision);
Problem key_not_found(std::uint64_t revision);

}  // namespace vesper::api
