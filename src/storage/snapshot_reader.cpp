// Reads a snapshot back at boot (SnapshotReader in snapshot_files.hpp). Writing is in
// snapshot_files.cpp.
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

#include "storage/snapshot_files.hpp"

namespace vesper::storage {
namespace {

constexpr std::size_t kWindow = 1u << 20;
static_assert(kMaxRecord <= kWindow);

}  // namespace

SnapshotReader::SnapshotReader(Fs& fs, SnapshotOwner owner, raft::Index index)
    : fs_(fs), owner_(owner), index_(index), file_(snapshot_name(index)) {}

Error SnapshotReader::error(std::string_view what) const {
  return Error{fmt::format("{} at offset {}: {}", file_, at_, what)};
}

// Up to `length` bytes at at_. Fewer only at the end of the file.
Result<std::string_view> SnapshotReader::view(std::size_t length) {
  if (at_ < window_at_ || at_ + length > window_at_ + window_.size()) {
    auto bytes = fs_.read(file_, at_, kWindow);
    if (!bytes) return Error{error(bytes.error().what).what, bytes.error().code};
    window_ = std::move(bytes.value());
    window_at_ = at_;
  }
  return window_.view().substr(static_cast<std::size_t>(at_ - window_at_), length);
}

Result<void> SnapshotReader::read_head() {
  const auto bytes = view(kSnapshotHead);
  if (!bytes) return bytes.error();
  const auto head = decode_snapshot_head(*bytes);
  if (!head) return Error{error(head.error().what).what, head.error().code};
  head_ = *head;
  if (head_.server != owner_.server || head_.incarnation != owner_.incarnation)
    return Error{
        error(fmt::format(
                  "it belongs to node {} of incarnation {}, but this is node {} of incarnation {}",
                  head_.server.value, to_hex(head_.incarnation.value), owner_.server.value,
                  to_hex(owner_.incarnation.value)))
            .what,
        kNotOurs};
  if (head_.last_index != index_)
    return error(fmt::format("its head says that it is {}: the file was renamed or copied",
                             snapshot_name(head_.last_index)));
  at_ = kSnapshotHead;
  return {};
}

Result<void> check_owner(Fs& fs, SnapshotOwner owner, raft::Index index) {
  auto read = SnapshotReader(fs, owner, index).read_head();
  if (!read && read.error().code == kNotOurs) return read;
  return {};
}

Result<std::string> SnapshotReader::next() {
  if (at_ == 0)
    if (auto read = read_head(); !read) return read.error();
  const auto lead = view(kRecordHead);
  if (!lead) return lead.error();
  const auto start = decode_record_start(*lead);
  if (!start) return error("damaged: no record begins here");
  const auto record = view(start->length);
  if (!record) return record.error();
  if (record->size() < start->length) return error("damaged: the file ends within a record");
  if (start->end) return finish(*record);
  auto content = decode_chunk(zstd_, *record, index_, stored_.offsets.size());
  if (!content) return error(fmt::format("damaged: {}", content.error().what));
  if (content_ != stored_.offsets.size() * std::uint64_t{head_.chunk_bytes})
    return error("damaged: the chunk before this one is too short");
  if (content->size() > head_.chunk_bytes) return error("damaged: the chunk is too long");
  stored_.offsets.push_back(at_);
  at_ += start->length;
  content_ += content->size();
  sum_.add(*content);
  return content;
}

Result<std::string> SnapshotReader::finish(std::string_view record) {
  auto snapshot = decode_end(record, index_);
  if (!snapshot) return error(fmt::format("damaged: {}", snapshot.error().what));
  if (snapshot->chunk_bytes != head_.chunk_bytes || snapshot->content_bytes != content_ ||
      snapshot->checksum != sum_.digest())
    return error("damaged: its content does not match the record at its end");
  const auto size = fs_.size(file_);
  if (!size) return Error{error(size.error().what).what, size.error().code};
  stored_.file_bytes = at_ + record.size();
  if (*size != stored_.file_bytes) return error("damaged: there are bytes after its end");
  stored_.offsets.push_back(at_);
  stored_.snapshot = std::move(snapshot.value());
  return std::string();
}

}  // namespace vesper::storage
