#include "storage/set_aside.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/bytes.hpp"
#include "storage/records.hpp"
#include "storage/snapshot_format.hpp"
#include "storage/wal_format.hpp"

namespace vesper::storage {
namespace {

constexpr std::string_view kFolderPrefix = "set-aside-";
// In the names of the folders that `vesper recover` leaves: they may be the last whole copy of the
// old cluster, so only an operator removes them.
constexpr std::string_view kBeforeRecovery = "-before-recovery";
// The name of the order in the folder. It says why the copy exists. A server that is started on the
// folder does not take it for an order.
constexpr std::string_view kReason = "set-aside.reason";
constexpr std::size_t kMaxName = 64;

bool is_set_aside(std::string_view folder) {
  return folder.starts_with(kFolderPrefix);
}

// True for the files that a server writes, except the order itself. Without a successor, the server
// must still know that its cluster exists.
bool moves(std::string_view file, Successor successor) {
  if (file == kSetAsideOrder || (file == kCluster && successor == Successor::none)) return false;
  return is_record(file) || file == kSpareName || is_snapshot_temporary(file) ||
         parse_segment_name(file) || parse_snapshot_name(file);
}

// Where an order stands. Once the old files are away, only the successor's files may be moved.
enum class Step : std::uint8_t { move_away = 0, move_in = 1 };

struct Order {
  SetAside what;
  Step step = Step::move_away;
};

std::string encode_order(const Order& order) {
  std::string content;
  ByteWriter w(content);
  w.string(order.what.folder);
  w.string(order.what.why);
  w.u8(static_cast<std::uint8_t>(order.what.successor));
  w.u8(static_cast<std::uint8_t>(order.step));
  return content;
}

Result<Order> decode_order(std::string_view content) {
  ByteReader r(content);
  Order order;
  order.what.folder = r.string(kMaxName);
  order.what.why = r.string(kMaxRecordContent);
  const std::uint8_t successor = r.u8();
  const std::uint8_t step = r.u8();
  const std::string& folder = order.what.folder;
  if (!r.ok() || !r.at_end() || successor > 1 || step > successor || !is_set_aside(folder) ||
      folder.find('/') != std::string::npos)
    return Error{fmt::format("{}: its content is malformed", kSetAsideOrder)};
  order.what.successor = static_cast<Successor>(successor);
  order.step = static_cast<Step>(step);
  return order;
}

Result<bool> exists(Folders& folders, std::string_view folder) {
  const auto names = folders.folders();
  if (!names) return names.error();
  return std::find(names->begin(), names->end(), folder) != names->end();
}

Result<void> sync_both(Fs& fs, Folders& folders, const std::string& folder) {
  if (auto synced = folders.sync_folder(folder); !synced) return synced;
  return fs.sync_directory();
}

// The moves must be durable before the order goes, or goes on. Otherwise a crash could bring files
// back into a directory in which a new log has begun.
Result<void> move_away(Fs& fs, Folders& folders, const SetAside& what) {
  const std::string& folder = what.folder;
  if (auto made = folders.make_folder(folder); !made) return made;
  const auto files = fs.list();
  if (!files) return files.error();
  for (const std::string& file : *files)
    if (moves(file, what.successor))
      if (auto moved = folders.move_into(file, folder, file); !moved) return moved;
  return sync_both(fs, folders, folder);
}

Result<void> move_in(Fs& fs, Folders& folders) {
  const std::string folder(kSuccessor);
  const auto there = exists(folders, folder);
  if (!there) return there.error();
  if (!*there) return {};  // a crash came after this
  const auto files = folders.files_in(folder);
  if (!files) return files.error();
  for (const std::string& file : *files)
    if (auto moved = folders.move_out(file, folder); !moved) return moved;
  if (auto synced = sync_both(fs, folders, folder); !synced) return synced;
  return folders.remove_folder(folder);
}

Result<void> remove_older(Folders& folders, const std::string& newest) {
  const auto names = folders.folders();
  if (!names) return names.error();
  for (const std::string& name : *names)
    if (is_set_aside(name) && name != newest && name.find(kBeforeRecovery) == std::string::npos)
      if (auto removed = folders.remove_folder(name); !removed) return removed;
  return {};
}

Result<void> remove_successor(Folders& folders) {
  const auto there = exists(folders, kSuccessor);
  if (!there) return there.error();
  return *there ? folders.remove_folder(std::string(kSuccessor)) : Result<void>();
}

Result<void> carry_out(Fs& fs, Folders& folders, Order& order) {
  const std::string& folder = order.what.folder;
  if (order.step == Step::move_away) {
    if (auto moved = move_away(fs, folders, order.what); !moved) return moved;
    order.step = Step::move_in;
    if (order.what.successor == Successor::none) {
      if (auto removed = remove_older(folders, folder); !removed)
        order.what.left = removed.error().what;
    } else if (auto noted = write_record(fs, kSetAsideOrder, encode_order(order)); !noted) {
      return noted;
    }
  }
  if (order.what.successor == Successor::prepared)
    if (auto moved = move_in(fs, folders); !moved) return moved;
  if (auto moved = folders.move_into(std::string(kSetAsideOrder), folder, std::string(kReason));
      !moved)
    return moved;
  return sync_both(fs, folders, folder);
}

}  // namespace

Result<std::string> order_set_aside(Fs& fs, Folders& folders, std::string_view time,
                                    std::string_view why, Successor successor) {
  const auto taken = folders.folders();
  if (!taken) return taken.error();
  const std::string first =
      fmt::format("{}{}{}", kFolderPrefix, time,
                  successor == Successor::prepared ? kBeforeRecovery : std::string_view());
  std::string folder = first;
  for (int n = 2; std::find(taken->begin(), taken->end(), folder) != taken->end(); ++n)
    folder = fmt::format("{}-{}", first, n);
  const SetAside order{folder, std::string(why), successor, {}};
  if (auto written = write_record(fs, kSetAsideOrder, encode_order({order})); !written)
    return std::move(written).error();
  return folder;
}

Result<std::optional<SetAside>> complete_set_aside(Fs& fs, Folders& folders) {
  const auto content = read_record(fs, kSetAsideOrder);
  if (!content) return content.error();
  if (!*content) {
    if (auto removed = remove_successor(folders); !removed) return std::move(removed).error();
    return std::optional<SetAside>();
  }
  auto order = decode_order(**content);
  if (!order) return std::move(order).error();
  if (auto done = carry_out(fs, folders, *order); !done) return std::move(done).error();
  return std::optional<SetAside>(std::move(order->what));
}

}  // namespace vesper::storage
