#include "server/boot_memory.hpp"

#include <fmt/core.h>

#include <utility>

#include "storage/boot_number.hpp"

namespace vesper::server {
namespace {

peer::SeenBoot to_peer(const storage::SeenBoot& seen) {
  return {seen.incarnation, seen.number, seen.boot};
}

}  // namespace

Result<void> BootMemory::open(storage::Fs& fs, raft::Incarnation incarnation) {
  const auto number = storage::count_boot(fs, incarnation);
  if (!number) return number.error();
  boot_number_ = *number;
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

void BootMemory::save(storage::RecordWriter& records) {
  if (std::exchange(changed_, false)) records.write(storage::kBootsSeen, seen_.encode());
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
