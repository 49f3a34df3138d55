#include "storage/boot_number.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "storage/records.hpp"
#include "storage/wal_format.hpp"

namespace vesper::storage {
namespace {

// Far above what any directory reaches.
constexpr std::uint64_t kMaxBoots = std::uint64_t{1} << 62;

// One sector: a record of the incarnation and the number, then zeros.
std::string encode_sector(raft::Incarnation incarnation, std::uint64_t number) {
  std::string content;
  ByteWriter w(content);
  w.u64(incarnation.value);
  w.u64(number);
  std::string sector = encode_record(kBootNumber, content);
  sector.resize(kSector, '\0');
  return sector;
}

struct Boots {
  raft::Incarnation incarnation;
  std::uint64_t number = 0;
};

std::optional<Boots> decode_sector(std::string_view sector) {
  const auto content = decode_record(kBootNumber, sector);
  if (!content) return std::nullopt;
  ByteReader r(*content);
  Boots boots;
  boots.incarnation = raft::Incarnation(r.u64());
  boots.number = r.u64();
  if (!r.ok() || !r.at_end() || boots.number == 0 || boots.number > kMaxBoots) return std::nullopt;
  return boots;
}

Result<std::uint64_t> begin_at_one(Fs& fs, raft::Incarnation incarnation) {
  std::string both(kSector, '\0');  // the number's place is number % 2
  both += encode_sector(incarnation, 1);
  if (auto done = replace_file(fs, kBootNumber, both); !done) return std::move(done).error();
  return std::uint64_t{1};
}

// The sector with the higher number. Nothing if there is no such file.
Result<std::optional<Boots>> read_boots(Fs& fs) {
  const auto names = fs.list();
  if (!names) return names.error();
  const std::string file(kBootNumber);
  if (std::find(names->begin(), names->end(), file) == names->end()) return std::optional<Boots>();
  const auto bytes = fs.read(file, 0, 2 * kSector);
  if (!bytes) return bytes.error();
  std::optional<Boots> last;
  for (std::size_t at = 0; at < bytes->size(); at += kSector) {
    const auto boots = decode_sector(bytes->view().substr(at, kSector));
    if (boots && (!last || boots->number > last->number)) last = boots;
  }
  // A start damages at most the sector that it writes.
  if (!last)
    return Error{fmt::format(
        "{} is damaged. Restore it from a copy of this directory, or give this server an empty "
        "directory: the cluster then takes it in again",
        file)};
  return last;
}

}  // namespace

Result<std::uint64_t> count_boot(Fs& fs, raft::Incarnation incarnation) {
  const auto last = read_boots(fs);
  if (!last) return last.error();
  if (!*last || (*last)->incarnation != incarnation) return begin_at_one(fs, incarnation);
  const std::uint64_t number = (*last)->number + 1;
  const std::string file(kBootNumber);
  if (auto done = fs.write(file, number % 2 * kSector, encode_sector(incarnation, number)); !done)
    return std::move(done).error();
  if (auto done = fs.sync(file); !done) return std::move(done).error();
  return number;
}

Result<std::uint64_t> last_boot(Fs& fs, raft::Incarnation incarnation) {
  const auto last = read_boots(fs);
  if (!last) return last.error();
  return *last && (*last)->incarnation == incarnation ? (*last)->number : 0;
}

}  // namespace vesper::storage
