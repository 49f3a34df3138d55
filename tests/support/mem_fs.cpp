#include "support/mem_fs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vesper::test {
namespace {

constexpr std::uint64_t kSector = 512;

const char* name_of(MemFs::Call call) {
  switch (call) {
    case MemFs::Call::list: return "list";
    case MemFs::Call::size: return "stat";
    case MemFs::Call::read: return "pread";
    case MemFs::Call::write: return "pwrite";
    case MemFs::Call::sync: return "fsync";
    case MemFs::Call::rename: return "rename";
    case MemFs::Call::remove: return "unlink";
    case MemFs::Call::sync_directory: return "fsync of the directory";
  }
  return "?";
}

}  // namespace

// Every call passes here: counts the step, cuts the power, fails where a test asked for it.
Result<void> MemFs::enter(Call call, const std::string& file, bool changes) {
  if (powered_ && changes && steps_++ == cut_at_) powered_ = false;
  if (!powered_) return Error{fmt::format("{} {}: no power", name_of(call), file), EIO};
  const auto failure = failures_.find(call);
  if (failure == failures_.end()) return {};
  if (failure->second.after-- > 0) return {};
  const int error = failure->second.error;
  failures_.erase(failure);
  return Error{fmt::format("{} {}: errno {}", name_of(call), file, error), error};
}

void MemFs::fail(Call call, std::uint64_t nth, int error) {
  failures_[call] = {nth, error};
}

Result<std::vector<std::string>> MemFs::list() {
  if (auto entered = enter(Call::list, "", false); !entered) return std::move(entered).error();
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_)
    if (name.find('/') == std::string::npos) names.push_back(name);
  return names;
}

// A folder is a name that ends with a slash.
Result<std::vector<std::string>> MemFs::folders() {
  if (auto entered = enter(Call::list, "", false); !entered) return std::move(entered).error();
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_)
    if (name.ends_with('/')) names.push_back(name.substr(0, name.size() - 1));
  return names;
}

Result<void> MemFs::make_folder(const std::string& folder) {
  if (auto entered = enter(Call::write, folder, true); !entered) return entered;
  if (names_.contains(folder + "/")) return {};
  inodes_[next_inode_] = {};
  change_directory({"", folder + "/", next_inode_++});
  return {};
}

Result<void> MemFs::move_into(const std::string& file, const std::string& folder,
                              const std::string& as) {
  if (!names_.contains(folder + "/"))
    return Error{fmt::format("rename {}: no folder {}", file, folder), ENOENT};
  return rename(file, folder + "/" + as);
}

Result<void> MemFs::move_out(const std::string& file, const std::string& folder) {
  return rename(folder + "/" + file, file);
}

Result<std::vector<std::string>> MemFs::files_in(const std::string& folder) {
  if (auto entered = enter(Call::list, folder, false); !entered) return std::move(entered).error();
  if (!names_.contains(folder + "/"))
    return Error{fmt::format("open {}: no such folder", folder), ENOENT};
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_)
    if (name.starts_with(folder + "/") && name.size() > folder.size() + 1)
      names.push_back(name.substr(folder.size() + 1));
  return names;
}

Result<void> MemFs::sync_folder(const std::string& folder) {
  if (powered_ && !names_.contains(folder + "/"))
    return Error{fmt::format("open {}: no such folder", folder), ENOENT};
  return sync_directory();
}

Result<void> MemFs::remove_folder(const std::string& folder) {
  std::vector<std::string> inside;
  for (const auto& [name, inode] : names_)
    if (name.starts_with(folder + "/")) inside.push_back(name);
  for (auto name = inside.rbegin(); name != inside.rend(); ++name)
    if (auto removed = remove(*name); !removed) return removed;
  return {};
}

Result<std::uint64_t> MemFs::size(const std::string& file) {
  if (auto entered = enter(Call::size, file, false); !entered) return std::move(entered).error();
  const auto found = names_.find(file);
  if (found == names_.end()) return Error{fmt::format("stat {}: no such file", file), ENOENT};
  return std::uint64_t{inodes_.at(found->second).now.size()};
}

Result<SharedBytes> MemFs::read(const std::string& file, std::uint64_t offset, std::size_t length) {
  if (auto entered = enter(Call::read, file, false); !entered) return std::move(entered).error();
  const auto found = names_.find(file);
  if (found == names_.end()) return Error{fmt::format("open {}: no such file", file), ENOENT};
  const std::string& now = inodes_.at(found->second).now;
  if (offset >= now.size()) return SharedBytes();
  return SharedBytes::copy_of(
      std::string_view(now).substr(static_cast<std::size_t>(offset), length));
}

std::uint64_t MemFs::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, inode] : names_) bytes += inodes_.at(inode).now.size();
  return bytes;
}

Result<void> MemFs::write(const std::string& file, std::uint64_t offset, std::string_view bytes) {
  if (auto entered = enter(Call::write, file, true); !entered) return entered;
  if (!names_.contains(file)) {
    inodes_[next_inode_] = {};
    change_directory({"", file, next_inode_++});
  }
  Inode& inode = inodes_.at(names_.at(file));
  const std::uint64_t grow =
      offset + bytes.size() > inode.now.size() ? offset + bytes.size() - inode.now.size() : 0;
  const bool full = grow > 0 && used() + grow > capacity_;
  const bool too_long = offset + bytes.size() > file_limit_;
  if (full) bytes = bytes.substr(0, bytes.size() / 2);
  if (too_long) {
    if (offset >= file_limit_) return Error{fmt::format("pwrite {}: file too large", file), EFBIG};
    bytes = bytes.substr(0, static_cast<std::size_t>(file_limit_ - offset));
  }
  const auto end = static_cast<std::size_t>(offset) + bytes.size();
  if (inode.now.size() < end) inode.now.resize(end, '\0');
  inode.now.replace(static_cast<std::size_t>(offset), bytes.size(), bytes);
  for (std::uint64_t s = offset / kSector; s * kSector < end; ++s) inode.dirty.insert(s);
  if (full) return Error{fmt::format("pwrite {}: no space left on device", file), ENOSPC};
  if (too_long) return Error{fmt::format("pwrite {}: file too large", file), EFBIG};
  return {};
}

// The sector as it is now becomes durable; `limit` bytes of it.
static void keep_sector(std::string& durable, const std::string& now, std::uint64_t sector,
                        std::size_t limit) {
  const auto begin = static_cast<std::size_t>(sector * kSector);
  if (begin >= now.size()) return;
  const std::size_t length = std::min({std::size_t{kSector}, now.size() - begin, limit});
  if (durable.size() < begin + length) durable.resize(begin + length, '\0');
  durable.replace(begin, length, now, begin, length);
}

Result<void> MemFs::sync(const std::string& file) {
  const auto found = names_.find(file);
  if (auto entered = enter(Call::sync, file, true); !entered) {
    if (lies_ && powered_ && found != names_.end()) inodes_.at(found->second).dirty.clear();
    return entered;
  }
  if (found == names_.end()) return Error{fmt::format("open {}: no such file", file), ENOENT};
  settle(inodes_.at(found->second), Loss::none);
  return {};
}

void MemFs::settle(Inode& inode, Loss loss) {
  for (const std::uint64_t sector : inode.dirty) {
    std::size_t kept = kSector;
    if (loss == Loss::all) kept = 0;
    if (loss == Loss::random) {
      const std::int64_t dice = random_.between(0, 9);
      if (dice == 0) kept = static_cast<std::size_t>(random_.between(0, kSector));
      else if (dice < 5) kept = 0;
    }
    if (kept > 0) keep_sector(inode.durable, inode.now, sector, kept);
  }
  inode.dirty.clear();
  if (loss == Loss::none) inode.durable.resize(inode.now.size());
  else inode.now = inode.durable;
}

void MemFs::apply(Names& names, const DirectoryChange& change) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.inode;
}

void MemFs::change_directory(DirectoryChange change) {
  apply(names_, change);
  unsynced_changes_.push_back(std::move(change));
}

Result<void> MemFs::rename(const std::string& from, const std::string& to) {
  if (auto entered = enter(Call::rename, from, true); !entered) return entered;
  const auto found = names_.find(from);
  if (found == names_.end()) return Error{fmt::format("rename {}: no such file", from), ENOENT};
  change_directory({from, to, found->second});
  return {};
}

Result<void> MemFs::remove(const std::string& file) {
  if (auto entered = enter(Call::remove, file, true); !entered) return entered;
  if (!names_.contains(file)) return Error{fmt::format("unlink {}: no such file", file), ENOENT};
  change_directory({file, "", 0});
  return {};
}

Result<void> MemFs::sync_directory() {
  if (auto entered = enter(Call::sync_directory, "", true); !entered) return entered;
  durable_names_ = names_;
  unsynced_changes_.clear();
  return {};
}

void MemFs::lose_power(Loss loss) {
  jobs_.clear();
  std::size_t kept = 0;
  if (loss == Loss::none) kept = unsynced_changes_.size();
  if (loss == Loss::random)
    kept = static_cast<std::size_t>(
        random_.between(0, static_cast<std::int64_t>(unsynced_changes_.size())));
  for (std::size_t i = 0; i < kept; ++i) apply(durable_names_, unsynced_changes_[i]);
  unsynced_changes_.clear();
  names_ = durable_names_;
  for (auto& [id, inode] : inodes_) settle(inode, loss);
  powered_ = true;
  cut_at_ = UINT64_MAX;
  failures_.clear();
}

std::optional<storage::JobDone> MemFs::run_one() {
  if (jobs_.empty() || !powered_) return std::nullopt;
  const auto chosen =
      jobs_.begin() + random_.between(0, static_cast<std::int64_t>(jobs_.size()) - 1);
  const storage::Job job = std::move(*chosen);
  jobs_.erase(chosen);
  read_bytes_ = {};
  free_bytes_ = storage::JobDone::kUnknown;
  Result<void> result = std::visit([this](const auto& work) { return run(work); }, job.work);
  if (!powered_) return std::nullopt;
  return storage::JobDone{job.id, std::move(result), microseconds(100), std::move(read_bytes_),
                          free_bytes_};
}

Result<void> MemFs::run(const storage::Append& job) {
  if (!names_.contains(job.file))
    return Error{fmt::format("open {}: no such file", job.file), ENOENT};
  std::string bytes;
  for (const SharedBytes& part : job.parts) {
    VESPER_ASSERT(!part.empty());
    bytes += part.view();
  }
  if (auto written = write(job.file, job.offset, bytes); !written) return written;
  return sync(job.file);
}

Result<void> MemFs::empty_file(const std::string& file) {
  if (!names_.contains(file)) return {};
  Inode& inode = inodes_.at(names_.at(file));
  inode.now.clear();
  inode.durable.clear();  // no test needs the old bytes of an emptied file to come back
  inode.dirty.clear();
  return {};
}

storage::Space MemFs::space() const {
  constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 60;
  const std::uint64_t total = std::min(capacity_, kUnlimited);
  return {total - std::min(total, used()), total};
}

Result<void> MemFs::run(const storage::Allocate& job) {
  auto done = storage::has_space(job, space())
                  ? allocate(job)
                  : Error{fmt::format("allocate {}: no space left on device", job.file), ENOSPC};
  if (done || !powered_ || !storage::out_of_space(done.error().code)) return done;
  if (names_.contains(job.file))
    if (auto removed = remove(job.file); !removed) return removed;
  free_bytes_ = space().free;
  return done;
}

Result<void> MemFs::allocate(const storage::Allocate& job) {
  if (job.offset == 0)
    if (auto emptied = empty_file(job.file); !emptied) return emptied;
  const std::string zeros(static_cast<std::size_t>(job.size), '\0');
  if (auto written = write(job.file, job.offset, zeros); !written) return written;
  if (auto synced = sync(job.file); !synced) return synced;
  return job.offset == 0 ? sync_directory() : Result<void>();
}

Result<void> MemFs::run(const storage::Rename& job) {
  if (auto renamed = rename(job.from, job.to); !renamed) return renamed;
  return sync_directory();
}

Result<void> MemFs::run(const storage::Remove& job) {
  if (names_.contains(job.file))
    if (auto removed = remove(job.file); !removed) return removed;
  return sync_directory();
}

Result<void> MemFs::run(const storage::Read& job) {
  auto bytes = read(job.file, job.offset, job.length);
  if (!bytes) return std::move(bytes).error();
  read_bytes_ = std::move(bytes.value());
  return {};
}

std::string MemFs::content(const std::string& file) const {
  const auto found = names_.find(file);
  return found == names_.end() ? std::string() : inodes_.at(found->second).now;
}

void MemFs::put(const std::string& file, std::string_view bytes) {
  if (!names_.contains(file)) {
    names_[file] = next_inode_++;
    durable_names_[file] = names_[file];
  }
  inodes_[names_.at(file)] = Inode{std::string(bytes), std::string(bytes), {}};
}

void MemFs::drop(const std::string& file) {
  names_.erase(file);
  durable_names_.erase(file);
}

void MemFs::flip_bit(const std::string& file, std::uint64_t offset, unsigned bit) {
  std::string bytes = content(file);
  VESPER_ASSERT(offset < bytes.size());
  bytes[static_cast<std::size_t>(offset)] = static_cast<char>(
      static_cast<unsigned char>(bytes[static_cast<std::size_t>(offset)]) ^ (1u << bit));
  put(file, bytes);
}

}  // namespace vesper::test
