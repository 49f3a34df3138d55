#include "io/uv_fs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"

namespace vesper::io {
namespace {

constexpr std::size_t kOpenFiles = 6;
constexpr std::size_t kVectors = 256;  // buffers per pwritev; the kernel's limit is 1024
constexpr std::size_t kZeros = 128u << 10;
// Values and keys are for no other user.
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

Error system_error(const char* call, const std::string& path, int code) {
  return Error{fmt::format("{} {}: {}", call, path, std::strerror(code)), code};
}

// Repeats a system call that a signal interrupted.
template <typename Call>
auto retry(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Syncs the parent of each directory it creates. If a power loss removed the directory, the node
// would restart without its vote.
Result<void> make_directories(const std::string& path) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), kDirectoryMode) != 0) {
      if (errno == EEXIST) continue;
      return system_error("cannot create the data directory: mkdir", part, errno);
    }
    const std::size_t slash = part.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : part.substr(0, slash + 1);
    const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int code = errno;
    if (fd >= 0) ::close(fd);
    if (!synced) return system_error("cannot sync", parent, code);
  }
  return {};
}

// An flock belongs to the inode, so removing the name or creating another file of that name does
// not bypass it. It ends when the descriptor is closed, or at the latest when the process exits.
Result<void> lock(int fd, const std::string& path, const std::string& directory) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) return system_error("cannot lock", path, errno);
  return Error{
      fmt::format("the data directory {} is locked: another vesper server uses it", directory),
      EWOULDBLOCK};
}

}  // namespace

Result<std::unique_ptr<UvFs>> UvFs::open(Loop& loop, const std::string& directory,
                                         Delegate<void, storage::JobDone> done) {
  if (auto made = make_directories(directory); !made) return made.error();
  const int directory_fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return system_error("cannot open the data directory", directory, errno);
  auto locked = lock(directory_fd, directory, directory);
  if (locked && ::faccessat(directory_fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
    locked = system_error("cannot write to the data directory", directory, errno);
  if (!locked) {
    ::close(directory_fd);
    return std::move(locked).error();
  }
  return std::unique_ptr<UvFs>(new UvFs(loop, directory, directory_fd, done));
}

UvFs::UvFs(Loop& loop, std::string directory, int directory_fd,
           Delegate<void, storage::JobDone> done)
    : loop_(loop),
      directory_(std::move(directory)),
      directory_fd_(directory_fd),
      done_(done),
      background_(loop, Delegate<void>::to<&UvFs::work>(this),
                  Delegate<void>::to<&UvFs::worked>(this)) {}

UvFs::~UvFs() {
  VESPER_ASSERT(idle());
  for (const auto& [name, fd] : open_files_) ::close(fd);
  ::close(directory_fd_);
}

Error UvFs::failure(const char* call, const std::string& file) const {
  const int code = errno;
  return system_error(call, file.empty() ? directory_ : directory_ + "/" + file, code);
}

Result<int> UvFs::descriptor(const std::string& file, IfMissing if_missing) {
  for (const auto& [name, fd] : open_files_)
    if (name == file) return fd;
  const int flags = O_RDWR | O_CLOEXEC | (if_missing == IfMissing::create ? O_CREAT : 0);
  const int fd = retry([&] { return ::openat(directory_fd_, file.c_str(), flags, kFileMode); });
  if (fd < 0) return failure("open", file);
  // Lock the files as well: they may have been moved to another directory while a server runs.
  if (auto locked = lock(fd, directory_ + "/" + file, directory_); !locked) {
    ::close(fd);
    return std::move(locked).error();
  }
  if (open_files_.size() == kOpenFiles) {
    ::close(open_files_.front().second);
    open_files_.erase(open_files_.begin());
  }
  open_files_.emplace_back(file, fd);
  return fd;
}

void UvFs::forget(const std::string& file) {
  const auto at = std::find_if(open_files_.begin(), open_files_.end(),
                               [&](const auto& entry) { return entry.first == file; });
  if (at == open_files_.end()) return;
  ::close(at->second);
  open_files_.erase(at);
}

// The names of one kind in the directory, or in a folder of it.
Result<std::vector<std::string>> UvFs::names(const std::string& folder, Kind kind) const {
  const std::string where = folder.empty() ? "." : folder;
  const int fd = ::openat(directory_fd_, where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = fd < 0 ? nullptr : ::fdopendir(fd);
  if (directory == nullptr) return failure("opendir", folder);
  std::vector<std::string> names;
  int failed_at = 0;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    // A name that cannot be examined is an error, not a missing file: with a log that seems empty,
    // this server would forget its vote.
    struct stat info {};
    if (::fstatat(fd, entry->d_name, &info, kind == Kind::files ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
      failed_at = errno;
      break;
    }
    const bool wanted = kind == Kind::files ? S_ISREG(info.st_mode)
                                            : S_ISDIR(info.st_mode) && name != "." && name != "..";
    if (wanted) names.emplace_back(name);
    errno = 0;
  }
  if (failed_at != 0) errno = failed_at;
  const bool failed = errno != 0;
  const Error error = failed ? failure("readdir", folder) : Error{};
  ::closedir(directory);
  if (failed) return error;
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> UvFs::list() {
  return names("", Kind::files);
}

Result<std::uint64_t> UvFs::size(const std::string& file) {
  const auto fd = descriptor(file, IfMissing::fail);
  if (!fd) return fd.error();
  struct stat info {};
  if (::fstat(*fd, &info) != 0) return failure("fstat", file);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<SharedBytes> UvFs::read(const std::string& file, std::uint64_t offset, std::size_t length) {
  const auto fd = descriptor(file, IfMissing::fail);
  if (!fd) return fd.error();
  std::size_t filled = 0;
  bool failed = false;
  const SharedBytes bytes = SharedBytes::make(length, [&](char* out) {
    while (filled < length) {
      const ssize_t n = retry([&] {
        return ::pread(*fd, out + filled, length - filled, static_cast<off_t>(offset + filled));
      });
      failed = n < 0;
      if (n <= 0) break;
      filled += static_cast<std::size_t>(n);
    }
  });
  if (failed) {
    Error error = failure("read", file);
    error.what += fmt::format(" (at offset {})", offset + filled);
    return error;
  }
  return bytes.slice(0, filled);
}

Result<void> UvFs::write(const std::string& file, std::uint64_t offset, std::string_view bytes) {
  const auto fd = descriptor(file, IfMissing::create);
  if (!fd) return fd.error();
  while (!bytes.empty()) {
    const ssize_t n = retry(
        [&] { return ::pwrite(*fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) return failure("write", file);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> UvFs::sync(const std::string& file) {
  const auto fd = descriptor(file, IfMissing::fail);
  if (!fd) return fd.error();
  if (::fsync(*fd) != 0) return failure("fsync", file);
  return {};
}

Result<void> UvFs::rename(const std::string& from, const std::string& to) {
  if (::renameat(directory_fd_, from.c_str(), directory_fd_, to.c_str()) != 0)
    return failure("rename", from);
  forget(to);
  for (auto& [name, fd] : open_files_)
    if (name == from) name = to;
  return {};
}

Result<void> UvFs::remove(const std::string& file) {
  forget(file);
  if (::unlinkat(directory_fd_, file.c_str(), 0) != 0 && errno != ENOENT)
    return failure("unlink", file);
  return {};
}

Result<void> UvFs::sync_directory() {
  if (::fsync(directory_fd_) != 0) return failure("fsync", "");
  return {};
}

Result<std::vector<std::string>> UvFs::folders() {
  return names("", Kind::folders);
}

Result<void> UvFs::make_folder(const std::string& folder) {
  if (::mkdirat(directory_fd_, folder.c_str(), kDirectoryMode) != 0 && errno != EEXIST)
    return failure("mkdir", folder);
  return {};
}

Result<void> UvFs::move_into(const std::string& file, const std::string& folder,
                             const std::string& as) {
  forget(file);
  return rename(file, folder + "/" + as);
}

Result<void> UvFs::move_out(const std::string& file, const std::string& folder) {
  return rename(folder + "/" + file, file);
}

Result<std::vector<std::string>> UvFs::files_in(const std::string& folder) {
  return names(folder, Kind::files);
}

Result<void> UvFs::sync_folder(const std::string& folder) {
  const int fd = ::openat(directory_fd_, folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure("open", folder);
  const bool synced = ::fsync(fd) == 0;
  const Error error = synced ? Error{} : failure("fsync", folder);
  ::close(fd);
  if (!synced) return error;
  return {};
}

Result<void> UvFs::remove_folder(const std::string& folder) {
  const auto files = names(folder, Kind::files);
  if (!files) return files.error();
  for (const std::string& file : *files)
    if (::unlinkat(directory_fd_, (folder + "/" + file).c_str(), 0) != 0 && errno != ENOENT)
      return failure("unlink", folder + "/" + file);
  if (::unlinkat(directory_fd_, folder.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return failure("rmdir", folder);
  return {};
}

void UvFs::submit(storage::Job job) {
  const bool is_append = std::holds_alternative<storage::Append>(job.work);
  queue_.push_back({std::move(job), loop_.now(), is_append ? delay_ : Duration{}});
  if (queue_.size() == 1) background_.start();
}

void UvFs::work() {
  if (const Duration delay = queue_.front().delay; delay > Duration{})
    ::usleep(static_cast<useconds_t>(delay.ms() * 1000));
  outcome_ =
      std::visit([this](const auto& work) { return carry_out(work); }, queue_.front().job.work);
}

void UvFs::worked() {
  // Destroy the job here, on the loop's thread, because its slices may only be released there.
  const Submitted finished = std::move(queue_.front());
  queue_.pop_front();
  Result<void> outcome = std::exchange(outcome_, Result<void>());
  SharedBytes bytes = std::exchange(read_bytes_, SharedBytes());
  const std::uint64_t free_bytes = std::exchange(free_bytes_, storage::JobDone::kUnknown);
  if (!queue_.empty()) background_.start();
  done_(storage::JobDone{finished.job.id, std::move(outcome), loop_.now() - finished.at,
                         std::move(bytes), free_bytes});
}

Result<void> UvFs::carry_out(const storage::Append& append) {
  const auto fd = descriptor(append.file, IfMissing::fail);
  if (!fd) return fd.error();
  auto offset = static_cast<off_t>(append.offset);
  std::size_t part = 0;    // the first part that is not completely written
  std::size_t within = 0;  // bytes of that part already written
  while (part < append.parts.size()) {
    iovec vectors[kVectors];
    int count = 0;
    for (std::size_t i = part; i < append.parts.size() && count < static_cast<int>(kVectors); ++i) {
      const std::size_t skip = i == part ? within : 0;
      const SharedBytes& bytes = append.parts[i];
      vectors[count++] = {const_cast<char*>(bytes.data()) + skip, bytes.size() - skip};
    }
    const ssize_t n = retry([&] { return ::pwritev(*fd, vectors, count, offset); });
    if (n < 0) return failure("write", append.file);
    offset += n;
    within += static_cast<std::size_t>(n);
    while (part < append.parts.size() && within >= append.parts[part].size())
      within -= append.parts[part++].size();
  }
  if (::fdatasync(*fd) != 0) return failure("fdatasync", append.file);
  return {};
}

// Returns nothing if the file system does not report its space.
std::optional<storage::Space> UvFs::space() const {
  struct statvfs info {};
  if (::fstatvfs(directory_fd_, &info) != 0) return std::nullopt;
  // Some blocks are reserved for the superuser.
  const std::uint64_t blocks = ::geteuid() == 0 ? info.f_bfree : info.f_bavail;
  return storage::Space{blocks * info.f_frsize, info.f_blocks * info.f_frsize};
}

Result<void> UvFs::carry_out(const storage::Allocate& allocate) {
  const auto before = space();
  auto done = before && !storage::has_space(allocate, *before)
                  ? system_error("allocate", directory_ + "/" + allocate.file, ENOSPC)
                  : write_zeros(allocate);
  if (done || !storage::out_of_space(done.error().code)) return done;
  forget(allocate.file);
  ::unlinkat(directory_fd_, allocate.file.c_str(), 0);
  if (const auto after = space()) free_bytes_ = after->free;
  return done;
}

Result<void> UvFs::write_zeros(const storage::Allocate& allocate) {
  if (allocate.offset == 0) forget(allocate.file);
  const auto fd =
      descriptor(allocate.file, allocate.offset == 0 ? IfMissing::create : IfMissing::fail);
  if (!fd) return fd.error();
  if (allocate.offset == 0 && ::ftruncate(*fd, 0) != 0) return failure("ftruncate", allocate.file);
  const std::string zeros(std::min<std::uint64_t>(kZeros, allocate.size), '\0');
  for (std::uint64_t done = 0; done < allocate.size;) {
    const std::size_t wanted = std::min<std::uint64_t>(zeros.size(), allocate.size - done);
    const ssize_t n = retry([&] {
      return ::pwrite(*fd, zeros.data(), wanted, static_cast<off_t>(allocate.offset + done));
    });
    if (n < 0) return failure("write", allocate.file);
    done += static_cast<std::uint64_t>(n);
  }
  if (::fsync(*fd) != 0) return failure("fsync", allocate.file);
  if (allocate.offset == 0) return sync_directory();
  return {};
}

Result<void> UvFs::carry_out(const storage::Rename& wanted) {
  if (auto renamed = rename(wanted.from, wanted.to); !renamed) return renamed;
  return sync_directory();
}

Result<void> UvFs::carry_out(const storage::Remove& wanted) {
  if (auto removed = remove(wanted.file); !removed) return removed;
  return sync_directory();
}

// The bytes are not shared with another thread yet, so their reference count may be changed here.
Result<void> UvFs::carry_out(const storage::Read& wanted) {
  auto bytes = read(wanted.file, wanted.offset, wanted.length);
  if (!bytes) return std::move(bytes).error();
  read_bytes_ = std::move(bytes.value());
  return {};
}

}  // namespace vesper::io
