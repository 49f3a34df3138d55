#include "storage/records.hpp"

#include <fmt/core.h>

#include <utility>

#include "base/bytes.hpp"
#include "base/checksum.hpp"

namespace vesper::storage {
namespace {

constexpr std::string_view kMagic = "VESPRREC";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kLead = 16;  // magic, version, length
constexpr std::size_t kOverhead = kLead + 8;
constexpr Duration kRetryAfter = seconds(1);  // after the disk was full

}  // namespace

bool is_record(std::string_view name) {
  return name == kBootNumber || name == kCluster || name == kBootsSeen || name == kDiverged ||
         name == kLeft || name == kOlderCopy || name == kSetAsideOrder || name == kRootReset ||
         name == kTokensNeeded || name == kRecordTemporary;
}

std::string encode_record(std::string_view name, std::string_view content) {
  VESPER_ASSERT(content.size() <= kMaxRecordContent);
  std::string bytes;
  ByteWriter w(bytes);
  w.bytes(kMagic);
  w.u32(kVersion);
  w.string(content);
  w.u64(checksum64(bytes, checksum64(name)));
  return bytes;
}

Result<std::string> decode_record(std::string_view name, std::string_view bytes) {
  ByteReader r(bytes);
  if (r.bytes(kMagic.size()) != kMagic) return Error{"damaged: it does not begin as a record"};
  const std::uint32_t version = r.u32();
  if (r.ok() && version != kVersion)
    return Error{fmt::format("it has version {}, but this build reads only {}", version, kVersion)};
  const std::string_view content = r.string(kMaxRecordContent);
  const std::size_t covered = r.offset();
  const std::uint64_t checksum = r.u64();
  if (!r.ok() || checksum != checksum64(bytes.substr(0, covered), checksum64(name)))
    return Error{"damaged: its checksum does not match"};
  return std::string(content);
}

Result<std::optional<std::string>> read_record(Fs& fs, std::string_view name) {
  const std::string file(name);
  auto names = fs.list();
  if (!names) return std::move(names).error();
  bool exists = false;
  for (const std::string& other : *names) exists |= other == file;
  if (!exists) return std::optional<std::string>();
  const auto bytes = fs.read(file, 0, kMaxRecordContent + kOverhead);
  if (!bytes) return bytes.error();
  auto content = decode_record(name, bytes->view());
  if (!content) return Error{fmt::format("{}: {}", name, content.error().what)};
  return std::optional<std::string>(std::move(*content));
}

Result<void> replace_file(Fs& fs, std::string_view name, std::string_view bytes) {
  const std::string temporary(kRecordTemporary);
  if (auto removed = fs.remove(temporary); !removed && removed.error().code != ENOENT)
    return removed;
  if (auto done = fs.write(temporary, 0, bytes); !done) return done;
  if (auto done = fs.sync(temporary); !done) return done;
  if (auto done = fs.rename(temporary, std::string(name)); !done) return done;
  return fs.sync_directory();
}

Result<void> write_record(Fs& fs, std::string_view name, std::string_view content) {
  return replace_file(fs, name, encode_record(name, content));
}

void RecordWriter::submit(Step step, Work work) {
  step_ = step;
  fs_.submit(Job{{JobOwner::records, ++last_job_}, std::move(work)});
}

void RecordWriter::flush(Instant now) {
  if (step_ != Step::none || queue_.empty() || now < retry_at_) return;
  auto first = queue_.extract(queue_.begin());
  name_ = std::move(first.key());
  content_ = std::move(first.mapped());
  submit(Step::create, Allocate{std::string(kRecordTemporary), 0, 0});
}

Result<void> RecordWriter::on_done(const JobDone& done, Instant now) {
  const Step step = std::exchange(step_, Step::none);
  if (!done.result) {
    if (!out_of_space(done.result.error().code))
      return Error{fmt::format("cannot write {}: {}", name_, done.result.error().what),
                   done.result.error().code};
    queue_.try_emplace(std::move(name_), std::move(content_));
    retry_at_ = now + kRetryAfter;
    return {};
  }
  switch (step) {
    case Step::create:
      submit(Step::write, Append{std::string(kRecordTemporary),
                                 0,
                                 {SharedBytes::copy_of(encode_record(name_, content_))}});
      break;
    case Step::write: submit(Step::rename, Rename{std::string(kRecordTemporary), name_}); break;
    case Step::rename: flush(now); break;
    case Step::none: VESPER_UNREACHABLE();
  }
  return {};
}

}  // namespace vesper::storage
