#include "server/boot_memory.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/bytes.hpp"
#include "storage/boot_number.hpp"

namespace vesper::server {
namespace {

peer::SeenBoot to_peer(const storage::SeenBoot& seen) {
  return {seen.incarnation, seen.number, seen.boot};
}

}  // namespace

Result<void> BootMemory::open(storage::Fs& fs, raft::Incarnation incarnation) {
  incarnation_ = incarnation;
  const auto number = storage::count_boot(fs, incarnation);
  if (!number) return number.error();
  boot_number_ = *number;
  if (auto read = read_seen(fs); !read) return read;
  return read_older_copy(fs);
}

Result<void> BootMemory::read_seen(storage::Fs& fs) {
  auto content = storage::read_record(fs, storage::kBootsSeen);
  if (!content && content.error().code != 0) return std::move(content).error();
  if (content && !*content) return {};
  auto seen = content ? storage::BootsSeen::decode(**content) : content.error();
  if (seen) seen_ = std::move(*seen);
  else
    note_ = fmt::format(
        "{} -> beginning again: older copies of other servers' directories may go "
        "unnoticed",
        seen.error().what);
  return {};
}

Result<void> BootMemory::read_older_copy(storage::Fs& fs) {
  const auto content = storage::read_record(fs, storage::kOlderCopy);
  if (!content) return content.error();
  const std::string own = to_hex(incarnation_.value) + " ";
  if (!*content || !(*content)->starts_with(own)) return {};
  older_copy_ = (*content)->substr(own.size());
  is_copy_kept_ = true;
  return {};
}

void BootMemory::keep_older_copy(std::string why) {
  if (std::exchange(is_copy_kept_, true)) return;
  older_copy_ = std::move(why);
  copy_is_queued_ = true;
}

void BootMemory::save(storage::RecordWriter& records) {
  if (std::exchange(changed_, false)) records.write(storage::kBootsSeen, seen_.encode());
  if (std::exchange(copy_is_queued_, false))
    records.write(storage::kOlderCopy, to_hex(incarnation_.value) + " " + *older_copy_);
}

peer::SeenBoot BootMemory::latest_of(raft::Incarnation incarnation) const {
  return to_peer(seen_.of(incarnation));
}

peer::SeenBoot BootMemory::latest_of(raft::ServerId server) const {
  return to_peer(seen_.latest_of(server));
}

void BootMemory::saw(raft::ServerId server, const peer::SeenBoot& seen) {
  changed_ |= seen_.saw({server, seen.incarnation, seen.number, seen.boot});
}

void BootMemory::went_back(raft::ServerId peer, const peer::SeenBoot& seen) {
  if (older_copy_) return;
  older_copy_ = fmt::format(
      "the data directory is an older copy: this is start {} of it, but server {} has seen {} {}",
      boot_number_, peer.value, seen.number == boot_number_ ? "another start" : "start",
      seen.number);
}

}  // namespace vesper::server
